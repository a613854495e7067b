"""The only module that knows every concrete class: it puts a process together, starts it and stops it."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from springline import telemetry
from springline.api import root
from springline.api.app import ROUTES, create_app
from springline.api.routing import Route
from springline.api.server import HttpServer, ListenError, bind
from springline.api.services import Services
from springline.domain.secrets import Secret
from springline.engine.connect import CredentialCheck
from springline.engine.explain import RunQuestions
from springline.engine.fetch import HttpClient
from springline.engine.grants import Grants, TokenEndpoint
from springline.engine.key_rotation import Rotated, rotate_keys
from springline.engine.maintenance.grants import GrantRenewal
from springline.engine.maintenance.service import Maintenance
from springline.engine.owners import Owners
from springline.engine.page_commit import StreamWriters
from springline.engine.permits import Permits
from springline.engine.quota_owner import QuotaOwner
from springline.engine.refreshes import Refreshes
from springline.engine.wakeups import Wakeups
from springline.engine.worker import Worker
from springline.metrics import Metrics
from springline.providers.registry import PROVIDERS
from springline.providers.vocabulary import Provider
from springline.settings import Settings, address
from springline.store.credentials import CredentialStore
from springline.store.database import Database, DatabaseError
from springline.store.departures import DepartureStore
from springline.store.embedded import EmbeddedPostgres, EmbeddedPostgresError
from springline.store.grants import GrantStore
from springline.store.leases import LeasedSync, LeaseStore
from springline.store.migrate import migrate as apply_migrations
from springline.store.oauth_apps import OAuthAppStore
from springline.store.organisations import OrganisationExists, OrganisationStore
from springline.store.owners import OwnerStore
from springline.store.pages import PageStore
from springline.store.private_files import (
    PrivateFileError,
    forget_secret_key,
    prepare_directory,
    secret_key,
    write_token,
)
from springline.store.quotas import HeldCredential, QuotaStore
from springline.store.records import RecordStore
from springline.store.retention import RetentionStore
from springline.store.secret_rotation import SecretRotation
from springline.store.secrets import SecretBox, SecretError, check_secret_keys

log = telemetry.logger("process")

Say = Callable[[str], None]

#: What stops a start with one clear line.
START_ERRORS = (EmbeddedPostgresError, DatabaseError, PrivateFileError, ListenError)


class StartError(Exception):
    """The process cannot start; the message is one clear line with the way out."""


class RunningServer(NamedTuple):
    """A server that answers at `url`; `token` is the default organisation's."""

    url: str
    token: str


class Organisation(NamedTuple):
    """`token` is None except for one that was made just now."""

    id: str
    name: str
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Base:
    """The database, and what a first start makes."""

    settings: Settings
    database: Database
    box: SecretBox
    postgres: EmbeddedPostgres | None
    first_token: str | None

    def database_state(self) -> str | None:
        """Why the database is not ready, if it is known."""
        state = self.postgres.state() if self.postgres is not None else "ready"
        return None if state == "ready" else state


async def serve(settings: Settings, *, say: Say) -> int:
    """Runs the API and a worker until a signal; returns the exit code."""
    stop = _stop_on_signals()
    async with _serving(settings) as (base, url):
        _say_ready(base, url, say)
        await stop.wait()
        say("stopping …")
    return 0


async def work(settings: Settings, *, say: Say) -> int:
    """Runs one more worker until a signal; returns the exit code."""
    stop = _stop_on_signals()
    async with _one_clear_line(), AsyncExitStack() as stack:
        listener = None
        if settings.metrics_port is not None:
            listener = bind(settings.host, settings.metrics_port, setting="SPRINGLINE_METRICS_PORT")
            stack.callback(listener.close)
        base = await stack.enter_async_context(_open(settings))
        url = await stack.enter_async_context(_running(base, listener, routes=root.operations))
        if url:
            say(f"metrics at {url}/metrics")
        say("this worker runs; stop it with Ctrl-C")
        await stop.wait()
        say("stopping …")
    return 0


async def migrate(settings: Settings, *, say: Say) -> int:
    """Brings the schema up to date; returns the exit code."""
    async with _one_clear_line(), _opened_database(settings) as (database, _):
        applied = await apply_migrations(database)
    for name in applied:
        say(f"applied {name}")
    say("the database is up to date")
    return 0


async def create_organisation(settings: Settings, name: str) -> Organisation:
    """A new organisation, with the first token of it."""
    async with _one_clear_line(), _open(settings) as base:
        try:
            made, token = await OrganisationStore(base.database).create(name)
        except OrganisationExists:
            raise StartError(f"there is an organisation {name!r} already; choose another name") from None
    return Organisation(str(made.org_id), made.name, token.reveal())


async def rotate_secret_keys(settings: Settings) -> Rotated:
    """Brings every stored secret under the first secret key."""
    async with _one_clear_line(), _open(settings) as base:
        return await rotate_keys(SecretRotation(base.database, base.box), base.box, PROVIDERS)


async def list_organisations(settings: Settings) -> Sequence[Organisation]:
    """All organisations, by name."""
    async with _one_clear_line(), _open(settings) as base:
        found = await OrganisationStore(base.database).list()
    return [Organisation(str(each.org_id), each.name) for each in found]


@asynccontextmanager
async def running_server(settings: Settings, *, say: Say) -> AsyncIterator[RunningServer]:
    """The API and a worker inside this process, for as long as the block runs. Raises StartError."""
    async with _serving(settings) as (base, url):
        say(f"listening on {url}")
        token = settings.api_token or base.first_token or base.settings.token_file.read_text(encoding="ascii").strip()
        yield RunningServer(url, token)


@asynccontextmanager
async def _serving(settings: Settings) -> AsyncIterator[tuple[_Base, str]]:
    """The API and a worker; yields the API's address. Raises StartError."""
    async with _one_clear_line(), AsyncExitStack() as stack:
        listener = bind(settings.host, settings.port)
        stack.callback(listener.close)
        base = await stack.enter_async_context(_open(settings))
        yield base, await stack.enter_async_context(_running(base, listener))


@asynccontextmanager
async def _one_clear_line() -> AsyncIterator[None]:
    """Turns what stops a start into a StartError."""
    try:
        yield
    except START_ERRORS as error:
        raise StartError(str(error)) from None


@asynccontextmanager
async def _opened_database(settings: Settings) -> AsyncIterator[tuple[Database, EmbeddedPostgres | None]]:
    """The embedded PostgreSQL, or the one that the operator names."""
    async with AsyncExitStack() as stack:
        postgres = None
        connect_to: str | dict[str, Any]
        if settings.database_url is None:
            postgres = await EmbeddedPostgres.open(
                settings.data_dir, on_state=lambda state: log.info("postgres.state", state=state)
            )
            stack.push_async_callback(postgres.close)
            connect_to = postgres.dsn
        else:
            prepare_directory(settings.data_dir)
            connect_to = settings.database_url
        database = await Database.open(connect_to)
        stack.push_async_callback(database.close)
        yield database, postgres


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[_Base]:
    """The database, migrated, with the right secret key and a way in for the default organisation."""
    async with _opened_database(settings) as (database, postgres):
        await apply_migrations(database)
        newly_made = False
        keys = list(settings.secret_keys)
        if not keys:
            key, newly_made = await asyncio.to_thread(secret_key, settings.data_dir)
            keys = [key]
        box = SecretBox(keys)
        try:
            await check_secret_keys(database, box, newly_made=newly_made)
        except SecretError:
            if newly_made:
                await asyncio.to_thread(forget_secret_key, settings.data_dir)
            raise
        given = Secret(settings.api_token) if settings.api_token else None
        made = await OrganisationStore(database).ensure_default(given)
        if made is not None:
            write_token(settings.token_file, made.reveal())
        yield _Base(
            settings=settings,
            database=database,
            box=box,
            postgres=postgres,
            first_token=made.reveal() if made is not None else None,
        )


@asynccontextmanager
async def _running(
    base: _Base, listener: socket.socket | None, *, routes: Sequence[Route] = ROUTES
) -> AsyncIterator[str]:
    """Everything that moves, with these routes over HTTP; yields their address, empty without a listener. The order of
    starting is the order of the lines, stopping is its reverse."""
    database, settings = base.database, base.settings
    stop_services = asyncio.Event()
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        client = HttpClient.open(metrics)
        stack.push_async_callback(client.close)

        wakeups = Wakeups(database)
        writers = StreamWriters(PageStore(database), on_commit=wakeups.moved, metrics=metrics)
        stack.push_async_callback(writers.close)

        records = RecordStore(database)
        credentials = CredentialStore(database, base.box)
        maintenance = Maintenance(
            departures=DepartureStore(database),
            retention=RetentionStore(database),
            records=records,
            writers=writers,
        )
        owners = Owners(OwnerStore(database), wakeups)
        stack.push_async_callback(owners.close)
        quotas = QuotaOwner(
            store=QuotaStore(database),
            owner_store=OwnerStore(database),
            owners=owners,
            providers=PROVIDERS,
            open_properties=_stored(credentials),
            published_limits=settings.provider_limits,
        )
        stack.push_async_callback(quotas.close)
        token_endpoint = TokenEndpoint(client, base_url_of=_base_urls(settings))
        grant_store = GrantStore(database, base.box)
        grants = Grants(
            grant_store,
            OAuthAppStore(database, base.box),
            token_endpoint,
            permit_of=quotas.permit_of,
        )
        stack.push_async_callback(grants.close)
        worker = Worker(
            leases=LeaseStore(database),
            records=records,
            writers=writers,
            client=client,
            providers=PROVIDERS,
            base_url_of=_base_urls(settings),
            open_properties=_opener(credentials, grants),
            renew_access=lambda sync: grants.withdraw(sync.credential_no),
            quotas=quotas,
            lease_seconds=settings.lease_seconds,
            metrics=metrics,
        )
        run_questions = RunQuestions(owners, worker.explain)
        refreshes = Refreshes(owners, worker.refresh)
        renewal = GrantRenewal(grants, grant_store, providers=PROVIDERS, worker_no=lambda: worker.worker_no)
        wakeups.on_syncs(worker.wake)
        services = [
            asyncio.create_task(wakeups.run(stop_services), name="wakeups"),
            asyncio.create_task(maintenance.run(stop_services), name="maintenance"),
            asyncio.create_task(renewal.run(stop_services), name="renewal"),
            asyncio.create_task(worker.run(stop_services), name="worker"),
        ]
        stack.push_async_callback(_stop_services, services, stop_services)

        url = ""
        if listener is not None:

            def wake_syncs() -> None:
                wakeups.configured()
                maintenance.wake()

            services_of_api = Services.over(
                database,
                providers=PROVIDERS,
                secrets=base.box,
                verify_credential=CredentialCheck(
                    client,
                    base_url_of=_base_urls(settings),
                    endpoint=token_endpoint,
                    permits=Permits(owners, quotas),
                ),
                wakeups=wakeups,
                wake_syncs=wake_syncs,
                wake_maintenance=maintenance.wake,
                database_state=base.database_state,
                metrics=metrics,
                explain_here=worker.explain,
                explain_elsewhere=run_questions.ask,
                refresh=refreshes.refresh,
            )
            server = HttpServer(create_app(services_of_api, routes), listener)
            await server.start()
            stack.push_async_callback(server.stop)
            stack.callback(services_of_api.deliveries.drain)
            host, port = listener.getsockname()[:2]
            url = address(host, port)
        yield url


async def _stop_services(services: Sequence[asyncio.Task[None]], stop: asyncio.Event) -> None:
    stop.set()
    results = await asyncio.gather(*services, return_exceptions=True)
    for service, result in zip(services, results, strict=True):
        if isinstance(result, BaseException):
            log.error("process.service_failed", service=service.get_name(), error=result)


def _base_urls(settings: Settings) -> Callable[[Provider], str]:
    """Where a provider is asked: its own address, unless the operator says otherwise."""
    chosen: Mapping[str, str] = settings.base_urls
    return lambda provider: chosen.get(provider.name, provider.base_url)


def _stored(credentials: CredentialStore) -> Callable[[HeldCredential | LeasedSync], Any]:
    """Opens what a credential holds."""

    async def open_properties(of: HeldCredential | LeasedSync) -> Mapping[str, Any]:
        properties = await credentials.properties(of.org_id, of.credential_id)
        return {} if properties is None else properties.reveal()

    return open_properties


def _opener(credentials: CredentialStore, grants: Grants) -> Callable[[LeasedSync], Any]:
    """Opens what a sync's requests need: what its credential holds, with an access token where it is obtained."""
    stored = _stored(credentials)

    async def open_properties(sync: LeasedSync) -> Mapping[str, Any]:
        provider = PROVIDERS[sync.provider]
        kind = provider.find_kind(sync.kind)
        if kind is not None and kind.grant is not None:
            return await grants.open(sync.org_id, sync.credential_id, provider=provider, kind=kind)
        return dict(await stored(sync))

    return open_properties


def _stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _say_ready(base: _Base, url: str, say: Say) -> None:
    settings = base.settings
    say(f"Springline is ready at {url}")
    if settings.database_url is None:
        say(f"  data   {settings.data_dir}")
    else:
        say(f"  data   an outside PostgreSQL (SPRINGLINE_DATABASE_URL); keys in {settings.data_dir}")
    if settings.api_token:
        say("  token  SPRINGLINE_API_TOKEN")
    elif base.first_token is not None and sys.stdout.isatty():
        # Only on a terminal: what a program reads ends in a log (I9).
        say(f"  token  {base.first_token}")
        say(f"         also in {settings.token_file}")
    else:
        say(f"  token  in {settings.token_file}")
    say("Try, in another terminal:")
    say("  springline providers show stripe")
    say("  springline streams create main")
    say("  springline syncs create --provider stripe --stream main --collection customer --stripe-key env")
