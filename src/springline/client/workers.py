"""Workers: the processes that run the syncs."""

from springline.client.connection import Connection
from springline.client.objects import Listing, Worker


class Workers:
    """Every method raises ClientError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> Listing[Worker]:
        """Those that live, and those that were lost in the last hour."""
        return await self._connection.listing("/v1/workers", Worker)
