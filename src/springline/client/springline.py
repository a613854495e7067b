"""The client: one object per server and token, with one attribute per noun."""

from datetime import timedelta
from types import TracebackType

from springline.client.collections import Collections
from springline.client.connection import Connection
from springline.client.consumers import Consumers
from springline.client.consuming import Messages
from springline.client.credentials import Credentials
from springline.client.errors import ApiError
from springline.client.events import EventReads
from springline.client.oauth_apps import OAuthApps
from springline.client.providers import Providers
from springline.client.records import RecordReads
from springline.client.streams import Streams
from springline.client.syncs import Syncs
from springline.client.tokens import Tokens
from springline.client.workers import Workers


class SpringlineClient:
    """Speaks to the server at `base_url` (`http://127.0.0.1:7376`) as the organisation that `token` belongs to.

    Close it, or use it in `async with`. Nothing is requested before the first call, and nothing is repeated except by
    `consume`.
    """

    def __init__(self, base_url: str, token: str) -> None:
        self._connection = Connection(base_url, token)
        self.streams = Streams(self._connection)
        self.syncs = Syncs(self._connection)
        self.credentials = Credentials(self._connection)
        self.collections = Collections(self._connection)
        self.oauth_apps = OAuthApps(self._connection)
        self.consumers = Consumers(self._connection)
        self.providers = Providers(self._connection)
        self.records = RecordReads(self._connection)
        self.events = EventReads(self._connection)
        self.tokens = Tokens(self._connection)
        self.workers = Workers(self._connection)

    async def readiness(self) -> str | None:
        """Why the server cannot work at the moment, in its own words; None: it can. Raises ClientError."""
        try:
            await self._connection.request("GET", "/readyz")
        except ApiError as error:
            if error.status == 503:
                return error.message
            raise
        return None

    @property
    def base_url(self) -> str:
        return self._connection.base_url

    def consume(
        self, consumer_id: str, *, batch_size: int = 100, wait_for: timedelta = timedelta(seconds=30)
    ) -> Messages:
        """Messages for ever, each acknowledged once the body of `async for` has ended; see `Messages`."""
        return Messages(self.consumers, consumer_id, batch_size=batch_size, wait_for=wait_for)

    async def close(self) -> None:
        await self._connection.close()

    async def __aenter__(self) -> "SpringlineClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
