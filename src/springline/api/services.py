"""What the endpoints need; put together by the composition."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from springline.engine.connect import CredentialVerifier
from springline.engine.deliveries import Deliveries
from springline.engine.messages import RecordEncoder
from springline.engine.wakeups import Wakeups
from springline.providers.vocabulary import Provider
from springline.store.consumers import ConsumerStore
from springline.store.credentials import CredentialStore
from springline.store.database import Database
from springline.store.deliveries import DeliveryStore
from springline.store.grants import GrantStore
from springline.store.oauth_apps import OAuthAppStore
from springline.store.records import RecordStore
from springline.store.secrets import SecretBox
from springline.store.streams import StreamStore
from springline.store.syncs import SyncStore
from springline.store.tokens import TokenStore


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """What the endpoints need.

    `wake_syncs` is called after every change that a worker must take up, `wake_maintenance` after every deletion that
    leaves data behind; neither may raise. `database_state` is a sentence on why the database is not ready, if it knows.
    """

    database: Database
    providers: Mapping[str, Provider]
    secrets: SecretBox
    streams: StreamStore
    syncs: SyncStore
    credentials: CredentialStore
    oauth_apps: OAuthAppStore
    grants: GrantStore
    consumers: ConsumerStore
    tokens: TokenStore
    records: RecordStore
    encoder: RecordEncoder
    deliveries: Deliveries
    verify_credential: CredentialVerifier
    wake_syncs: Callable[[], None]
    wake_maintenance: Callable[[], None]
    database_state: Callable[[], str | None]

    @classmethod
    def over(
        cls,
        database: Database,
        *,
        providers: Mapping[str, Provider],
        secrets: SecretBox,
        verify_credential: CredentialVerifier,
        wakeups: Wakeups | None = None,
        wake_syncs: Callable[[], None] = lambda: None,
        wake_maintenance: Callable[[], None] = lambda: None,
        database_state: Callable[[], str | None] = lambda: None,
    ) -> "Services":
        """The services over one database, with a store for each noun. `wakeups`: this process's, where it has some."""
        records = RecordStore(database)
        encoder = RecordEncoder(records)
        return cls(
            database=database,
            providers=providers,
            secrets=secrets,
            streams=StreamStore(database),
            syncs=SyncStore(database),
            credentials=CredentialStore(database, secrets),
            oauth_apps=OAuthAppStore(database, secrets),
            grants=GrantStore(database, secrets),
            consumers=ConsumerStore(database),
            tokens=TokenStore(database),
            records=records,
            encoder=encoder,
            deliveries=Deliveries(DeliveryStore(database), encoder, wakeups or Wakeups(database)),
            verify_credential=verify_credential,
            wake_syncs=wake_syncs,
            wake_maintenance=wake_maintenance,
            database_state=database_state,
        )
