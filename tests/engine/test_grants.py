"""I8: a token is stored before it is used, asked for once at a time, and a passing fault costs nothing."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from tests.support.hub_side import APP_ID, INSTALLATION, HubSide, app_pem, hub_side, pem_of
from tests.support.made import SECRET_KEY
from tests.support.providers import HUB, HUB_APP, HUB_USER
from tests.support.waiting import until

from springline.domain.credentials import Credential, Properties
from springline.domain.errors import AppRefused, CredentialDead, RetryLater
from springline.domain.oauth_apps import OAuthApp
from springline.domain.secrets import Secret
from springline.engine.fetch import Fetcher, HttpClient, Origin
from springline.engine.grants import Grants, PermitOf, TokenEndpoint, no_permit
from springline.engine.maintenance.grants import GrantRenewal
from springline.engine.quotas import Permit, Priority, SyncQuota
from springline.providers.vocabulary import CredentialKind, RateLimit, Request
from springline.store.credentials import CredentialStore
from springline.store.database import Database
from springline.store.grants import DueGrant, GrantStore
from springline.store.leases import LeaseStore, Process
from springline.store.oauth_apps import OAuthAppStore
from springline.store.organisations import OrganisationStore
from springline.store.secrets import SecretBox


@dataclass
class OneProcess:
    """What one process of ours has: its own client, and what it believes of the provider's clock."""

    grants: Grants
    store: GrantStore


@dataclass
class Account:
    """A credential that must obtain a token, with Hub's side of it."""

    database: Database
    side: HubSide
    app: OAuthApp
    credential: Credential
    kind: CredentialKind
    passed: timedelta = timedelta()

    @asynccontextmanager
    async def process(
        self, *, our_clock_is_ahead: timedelta = timedelta(), permit_of: PermitOf = no_permit
    ) -> AsyncIterator[OneProcess]:
        box = SecretBox([SECRET_KEY])
        client = HttpClient.open()
        endpoint = TokenEndpoint(
            client,
            base_url_of=lambda _: self.side.url,
            now=lambda: datetime.now(UTC) + self.passed + our_clock_is_ahead,
        )
        store = GrantStore(self.database, box)
        grants = Grants(store, OAuthAppStore(self.database, box), endpoint, permit_of=permit_of)
        try:
            yield OneProcess(grants, store)
        finally:
            await grants.close()
            await client.close()

    async def token(self, process: OneProcess) -> str:
        opened = await process.grants.open(
            self.credential.org_id, self.credential.credential_id, provider=HUB, kind=self.kind
        )
        text: str = opened["access_token"]
        return text

    async def time_passes(self, time: timedelta) -> None:
        """Moves every clock on; the database's by moving back what it compares with it."""
        await self.database.execute(
            """UPDATE grants SET obtained_at = obtained_at - $1::interval, expires_at = expires_at - $1::interval,
            renew_at = renew_at - $1::interval, retry_at = retry_at - $1::interval,
            claimed_until = claimed_until - $1::interval""",
            time,
        )
        self.side.offset += time
        self.passed += time

    async def row(self) -> dict[str, Any]:
        row = await self.database.fetch_row("SELECT * FROM grants")
        return {} if row is None else dict(row)


@pytest.fixture
async def side() -> AsyncIterator[HubSide]:
    async with hub_side() as opened:
        yield opened


@pytest.fixture
async def account(database: Database, side: HubSide) -> Account:
    return await make(database, side, HUB_APP, {"installation_id": INSTALLATION}, {})


@pytest.fixture
async def user(database: Database, side: HubSide) -> Account:
    side.refresh_tokens.add("ghr_first")
    return await make(database, side, HUB_USER, {"login": "ana"}, {"refresh_token": Secret("ghr_first")})


async def make(
    database: Database, side: HubSide, kind: CredentialKind, shown: dict[str, Any], secrets: dict[str, Secret]
) -> Account:
    box = SecretBox([SECRET_KEY])
    organisation, _ = await OrganisationStore(database).create("ours")
    app = await OAuthAppStore(database, box).create(
        organisation.org_id,
        provider="hub",
        name="ours",
        client_id="Iv1.ours",
        properties=Properties(
            shown={"app_id": APP_ID}, secrets={"private_key": Secret(app_pem()), "client_secret": Secret("shh")}
        ),
        redirect_uris=[],
        metadata={},
    )
    credential = await CredentialStore(database, box).create(
        organisation.org_id,
        provider="hub",
        kind=kind.name,
        account="17",
        secret_print="print",
        name=None,
        properties=Properties(shown=shown, secrets=secrets),
        metadata={},
        oauth_app_id=app.oauth_app_id,
    )
    return Account(database, side, app, credential, kind)


async def app_health(account: Account) -> tuple[str, str]:
    health = await account.database.fetch_value("SELECT health FROM oauth_apps")
    return health["status"], " ".join(health["notes"])


async def test_a_token_is_stored_before_it_is_used_and_asked_for_once(account: Account, side: HubSide) -> None:
    async with account.process() as first:
        token = await account.token(first)
        assert await account.token(first) == token
    # Another process finds it: whoever was killed between storing and using has lost nothing.
    async with account.process() as second:
        assert await account.token(second) == token
    assert (side.asked_times, list(side.tokens)) == (1, [token])
    row = await account.row()
    assert token.encode() not in row["secrets"]
    assert (row["claimed_by"], row["fault"]) == (None, None)
    assert (row["renew_at"] - row["obtained_at"]).total_seconds() == pytest.approx(3300, abs=2)


async def test_who_waits_may_go_but_what_was_answered_is_stored(account: Account, side: HubSide) -> None:
    side.open.clear()
    async with account.process() as process:
        waiting = asyncio.create_task(account.token(process))
        await side.asked.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        side.open.set()
        token = await account.token(process)
    assert (side.asked_times, list(side.tokens)) == (1, [token])


async def test_a_process_that_was_killed_while_it_asked_holds_up_the_others_no_longer_than_its_claim(
    account: Account, side: HubSide
) -> None:
    async with account.process() as process:
        assert await process.store.claim(account.credential.credential_no, uuid.uuid4(), seen_version=None)
        waiting = asyncio.create_task(account.token(process))
        _, still = await asyncio.wait([waiting], timeout=0.3)  # it looks every 0.1 s
        assert (still, side.asked_times) == ({waiting}, 0)
        await account.time_passes(timedelta(seconds=31))
        assert await waiting in side.tokens
    assert side.asked_times == 1


async def test_many_processes_ask_once(account: Account, side: HubSide) -> None:
    async with account.process() as one, account.process() as two, account.process() as three:
        tokens = await asyncio.gather(*(account.token(each) for each in (one, two, three) for _ in range(5)))
    assert (len(set(tokens)), side.asked_times) == (1, 1)


async def test_ahead_of_its_end_a_token_is_renewed_once_and_nobody_waits(account: Account, side: HubSide) -> None:
    worker_no = await LeaseStore(account.database).register_worker(Process("b", "n", "1:1"), 60)
    await account.database.execute("UPDATE credentials SET lease_worker_no = $1", worker_no)
    async with account.process() as one, account.process() as two:
        rounds = [
            GrantRenewal(each.grants, each.store, providers={"hub": HUB}, worker_no=lambda: worker_no)
            for each in (one, two)
        ]
        first = await account.token(one)
        await account.time_passes(timedelta(minutes=54))
        assert [await each.renew_due() for each in rounds] == [0, 0]
        await account.time_passes(timedelta(minutes=2))
        seen = (await account.row())["version"]
        # Renewed while it lives, with the old one in use until the new one is there.
        side.open.clear()
        side.asked.clear()
        renewing = asyncio.gather(*(each.renew_due() for each in rounds))
        await side.asked.wait()
        assert await account.token(two) == first
        side.open.set()
        assert sum(await renewing) == 1
        second = await account.token(two)
        assert second != first
        assert side.asked_times == 2
        # A round that had seen the old one does not renew the new one.
        late = DueGrant(account.credential.org_id, account.credential.credential_id, "hub", "hub_app", seen)
        assert not await one.grants.renew(late, provider=HUB, kind=HUB_APP)
        assert side.asked_times == 2
    # What another worker runs is renewed by that one, and what nobody runs when it is needed.
    async with account.process() as other:
        await account.time_passes(timedelta(minutes=56))
        nobody = GrantRenewal(other.grants, other.store, providers={"hub": HUB}, worker_no=lambda: worker_no + 1)
        assert await nobody.renew_due() == 0


async def test_a_passing_fault_costs_nothing_while_the_token_lives(account: Account, side: HubSide) -> None:
    async with account.process() as process:
        first = await account.token(process)
        await account.time_passes(timedelta(minutes=56))
        ours = account.credential
        due = DueGrant(ours.org_id, ours.credential_id, "hub", "hub_app", (await account.row())["version"])
        side.failing = [503]
        assert not await process.grants.renew(due, provider=HUB, kind=HUB_APP)
        assert await account.token(process) == first
        # So shortly before its end another would be obtained; it is used all the same if none can be had.
        await account.time_passes(timedelta(minutes=3, seconds=50))
        side.failing = [500]
        assert await account.token(process) == first
        await account.time_passes(timedelta(seconds=60))
        side.failing = [502]
        with pytest.raises(RetryLater, match="Something went wrong"):
            await account.token(process)
        # Whoever comes meanwhile does not ask again.
        asked = side.asked_times
        with pytest.raises(RetryLater) as told:
            await account.token(process)
        assert (side.asked_times, (told.value.after_seconds or 0) > 0) == (asked, True)
        await account.time_passes(timedelta(seconds=60))
        assert await account.token(process) != first


@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(hours=-3), timedelta(minutes=7)])
async def test_clocks_that_disagree(account: Account, side: HubSide, ahead: timedelta) -> None:
    async with account.process(our_clock_is_ahead=ahead) as process:
        token = await account.token(process)
        assert await account.token(process) == token
        row = await account.row()
        # An hour by Hub's clock is an hour, whatever ours says.
        assert (row["expires_at"] - row["obtained_at"]).total_seconds() == pytest.approx(3600, abs=2)
        asked = side.asked_times
        assert asked <= 2
        # What was learnt is kept: the next one is signed for the right time at once.
        await account.time_passes(timedelta(seconds=3590))
        assert await account.token(process) != token
        assert side.asked_times == asked + 1


async def test_an_installation_that_is_gone_is_believed_the_second_time(account: Account, side: HubSide) -> None:
    side.installations.clear()
    async with account.process() as process:
        with pytest.raises(RetryLater, match="not installed there any more"):
            await account.token(process)
        await account.time_passes(timedelta(seconds=2))
        with pytest.raises(CredentialDead, match="not installed there any more") as dead:
            await account.token(process)
        assert "installed in the account again" in dead.value.remedy
        # Another sync of the credential learns the same without asking.
        asked = side.asked_times
        with pytest.raises(CredentialDead):
            await account.token(process)
        assert side.asked_times == asked
        side.installations[INSTALLATION] = "active"
        await account.time_passes(timedelta(seconds=5))
        assert await account.token(process) in side.tokens


async def test_a_replica_that_lags_costs_nothing(account: Account, side: HubSide) -> None:
    side.failing = [404]
    async with account.process() as process:
        with pytest.raises(RetryLater):
            await account.token(process)
        await account.time_passes(timedelta(seconds=2))
        assert await account.token(process) in side.tokens
        assert (await account.row())["refusals"] == 0


async def test_a_suspended_installation_is_dead_at_once(account: Account, side: HubSide) -> None:
    side.installations[INSTALLATION] = "suspended"
    async with account.process() as process:
        with pytest.raises(CredentialDead, match="suspended") as dead:
            await account.token(process)
        assert "unsuspend" in dead.value.remedy
    assert await app_health(account) == ("ok", "")


async def test_a_wrong_key_is_the_apps_fault(account: Account, side: HubSide) -> None:
    apps = OAuthAppStore(account.database, SecretBox([SECRET_KEY]))
    other = pem_of(generate_private_key(65537, 2048))
    ours = account.app
    await apps.replace_secrets(ours.org_id, ours.oauth_app_id, {"private_key": Secret(other)})
    async with account.process() as process:
        with pytest.raises(CredentialDead, match="could not be decoded"):
            await account.token(process)
        status, note = await app_health(account)
        assert status == "error"
        assert "private key" in note
        # The right key again: it is tried at once, whatever the last attempt said about waiting.
        await apps.replace_secrets(ours.org_id, ours.oauth_app_id, {"private_key": Secret(app_pem())})
        assert await app_health(account) == ("ok", "")
        assert await account.token(process) in side.tokens


async def test_a_token_that_is_withdrawn_before_its_end_is_replaced(account: Account, side: HubSide) -> None:
    ours = account.credential
    limit = RateLimit(allowed_requests=100, interval=1.0, max_concurrent_requests=1)
    quota = SyncQuota(limit, clock=asyncio.get_running_loop().time)
    permits: list[int] = []

    @asynccontextmanager
    async def permit_of(credential_no: int) -> AsyncIterator[Permit | None]:
        async with quota.permit(Priority.waiting) as permit:
            permits.append(credential_no)
            yield permit

    # One request at once: who waits for a token holds no permit that the request for it needs.
    async with account.process(permit_of=permit_of) as process:
        client = HttpClient.open()
        origin = Origin(
            HUB,
            HUB_APP,
            base_url=side.url,
            open_properties=lambda: process.grants.open(ours.org_id, ours.credential_id, provider=HUB, kind=HUB_APP),
            renew=lambda: process.grants.withdraw(ours.credential_no),
        )
        fetcher = Fetcher(client, origin, quota)
        request = Request(path="/repositories")
        assert (await fetcher.fetch(request, Priority.poll)).status == 200
        side.revoke_all()
        await account.time_passes(timedelta(minutes=1))
        answers = await asyncio.gather(*(fetcher.fetch(request, Priority.poll) for _ in range(5)))
        assert {answer.status for answer in answers} == {200}
        assert side.asked_times == 2
        # A new token that is refused as well: then it is the credential.
        side.revoke_all()
        with pytest.raises(CredentialDead):
            await fetcher.fetch(request, Priority.poll)
        assert side.asked_times == 2
        assert permits == [ours.credential_no] * 2
        await client.close()


async def test_a_refresh_token_that_counts_once_is_stored_with_what_it_gave(user: Account, side: HubSide) -> None:
    async with user.process() as process:
        tokens = [await user.token(process)]
        for _ in range(3):
            await user.time_passes(timedelta(hours=2))
            tokens.append(await user.token(process))
    assert len(set(tokens)) == 4
    assert side.refusals == []


async def test_a_refresh_token_that_is_refused_is_believed_the_second_time(user: Account, side: HubSide) -> None:
    side.refresh_tokens.clear()
    async with user.process() as process:
        with pytest.raises(RetryLater, match="bad_refresh_token"):
            await user.token(process)
        await user.time_passes(timedelta(seconds=2))
        with pytest.raises(CredentialDead, match="bad_refresh_token") as dead:
            await user.token(process)
        assert not isinstance(dead.value, AppRefused)
        assert dead.value.remedy == "Connect the account again."


async def test_a_process_that_slept_through_its_claim_brings_the_token_that_counts(
    user: Account, side: HubSide
) -> None:
    """The other one asks with the refresh token that the first has spent: its refusal must not end the grant."""
    async with user.process() as sleeper, user.process() as other:
        answered, wake = asyncio.Event(), asyncio.Event()

        async def sleep() -> None:
            side.before_answer = None
            answered.set()
            await wake.wait()

        side.before_answer = sleep
        sleeping = asyncio.create_task(user.token(sleeper))
        await answered.wait()
        await user.time_passes(timedelta(seconds=31))
        with pytest.raises(RetryLater, match="bad_refresh_token"):
            await user.token(other)
        wake.set()
        token = await sleeping
        assert await user.token(other) == token
        await user.time_passes(timedelta(hours=2))
        assert await user.token(other) != token
    assert side.refusals == ["bad_refresh_token"]


async def test_a_database_that_is_away_when_the_answer_comes_costs_nothing(
    user: Account, side: HubSide, caplog: pytest.LogCaptureFixture
) -> None:
    """The refresh token is spent, and its successor is nowhere but in memory."""
    name = await user.database.fetch_value("SELECT current_database()")
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"
    outside = await user.database.connect_apart()

    async def take_it_away() -> None:
        side.before_answer = None
        await outside.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        await outside.execute(others, name)

    side.before_answer = take_it_away
    async with user.process() as process:
        asking = asyncio.create_task(user.token(process))
        await until(lambda: "grants.not_stored_yet" in caplog.messages, what="a first try to store it")
        await outside.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        await outside.execute(others, name)
        token = await asking
        assert await user.token(process) == token
        await user.time_passes(timedelta(hours=2))
        assert await user.token(process) != token
    await outside.close()
    assert side.refusals == []


async def test_other_properties_void_the_token(account: Account, side: HubSide) -> None:
    credentials = CredentialStore(account.database, SecretBox([SECRET_KEY]))
    ours = account.credential
    async with account.process() as process:
        first = await account.token(process)
        side.open.clear()
        await account.time_passes(timedelta(hours=2))
        side.asked.clear()
        waiting = asyncio.create_task(account.token(process))
        await side.asked.wait()
        await credentials.replace(
            ours.org_id,
            ours.credential_id,
            account="17",
            secret_print="print",
            properties=Properties(shown={"installation_id": INSTALLATION}, secrets={}),
            oauth_app_id=account.app.oauth_app_id,
        )
        side.open.set()
        token = await waiting
        # The one that was asked for with the old properties was thrown away.
        assert token != first
        assert side.minted == 3
        assert await credentials.delete(ours.org_id, ours.credential_id)
        assert await account.row() == {}


async def test_nothing_of_it_prints(account: Account, side: HubSide) -> None:
    async with account.process() as process:
        token = await account.token(process)
        held = await process.store.get(account.credential.org_id, account.credential.credential_id)
        assert token not in repr(held)
        assert app_pem()[40:80] not in repr(account.app)
