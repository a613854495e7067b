"""What the endpoints need; put together by the composition."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from springline.engine.connect import CredentialVerifier
from springline.engine.deliveries import Deliveries
from springline.engine.events import EventLog
from springline.engine.explain import Elsewhere, Explainer, Here, nobody_answers, runs_elsewhere
from springline.engine.messages import RecordEncoder
from springline.engine.processes import this_process
from springline.engine.refreshes import Refreshed, RefreshQuestion, nobody_refreshes
from springline.engine.wakeups import Wakeups
from springline.metrics import Metrics
from springline.providers.vocabulary import Provider
from springline.store.consumers import ConsumerStore
from springline.store.credentials import CredentialStore
from springline.store.database import Database
from springline.store.deliveries import DeliveryStore
from springline.store.events import EventStore
from springline.store.grants import GrantStore
from springline.store.holds import HoldStore
from springline.store.leases import LeaseStore, Process
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
    process: Process
    metrics: Metrics
    leases: LeaseStore
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
    events: EventLog
    event_store: EventStore
    deliveries: Deliveries
    delivery_store: DeliveryStore
    holds: HoldStore
    explainer: Explainer
    refresh: Callable[[int, RefreshQuestion], Awaitable[Refreshed]]
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
        metrics: Metrics | None = None,
        explain_here: Here = runs_elsewhere,
        explain_elsewhere: Elsewhere = nobody_answers,
        refresh: Callable[[int, RefreshQuestion], Awaitable[Refreshed]] = nobody_refreshes,
    ) -> "Services":
        """The services over one database, with a store for each noun. `wakeups`: this process's, where it has some.
        `explain_here` and `explain_elsewhere` ask the run of a sync in this process and in another;
        `refresh` has a record read by the holder of a credential's lease."""
        records = RecordStore(database)
        holds = HoldStore(database)
        encoder = RecordEncoder(records)
        event_store = EventStore(database)
        delivery_store = DeliveryStore(database)
        return cls(
            database=database,
            process=this_process(),
            metrics=metrics or Metrics(),
            leases=LeaseStore(database),
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
            events=EventLog(event_store, encoder),
            event_store=event_store,
            deliveries=Deliveries(delivery_store, encoder, wakeups or Wakeups(database)),
            delivery_store=delivery_store,
            holds=holds,
            explainer=Explainer(LeaseStore(database), holds, here=explain_here, elsewhere=explain_elsewhere),
            refresh=refresh,
            verify_credential=verify_credential,
            wake_syncs=wake_syncs,
            wake_maintenance=wake_maintenance,
            database_state=database_state,
        )
