"""Asking the holder of a credential's lease, from another process: here another set of connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest
from tests.support.made import Maker
from tests.support.waiting import until

from springline.domain.errors import OwnerUnavailable
from springline.engine.owners import Owners, Reply
from springline.engine.wakeups import Wakeups
from springline.store.database import Database
from springline.store.leases import LeaseStore, Process
from springline.store.owners import OwnerStore


class Greeting(msgspec.Struct, tag="greeting"):
    name: str


class Riddle(msgspec.Struct, tag="riddle"):
    """Nobody knows the answer."""


@dataclass
class Side:
    """One process's end."""

    owners: Owners
    wakeups: Wakeups
    held: set[int] = field(default_factory=set)
    worker_no: int | None = None
    undelivered: int = 0
    ended: list[tuple[int, str]] = field(default_factory=list)


@asynccontextmanager
async def end_of(database: Database) -> AsyncIterator[Side]:
    wakeups = Wakeups(database)
    side = Side(Owners(OwnerStore(database), wakeups), wakeups)
    stop = asyncio.Event()
    listening = asyncio.create_task(wakeups.run(stop))
    await until(lambda: wakeups._connection is not None)
    try:
        yield side
    finally:
        await side.owners.close()
        stop.set()
        await listening


@dataclass
class World:
    """A credential, two processes that may hold it, and one that asks."""

    database: Database
    leases: LeaseStore
    credential_no: int
    first: Side
    second: Side
    asker: Side

    async def hold(self, side: Side, *, lease_seconds: float = 30.0) -> None:
        """This process has a worker, which takes the credential if nobody has it."""
        side.worker_no = await self.leases.register_worker(Process("", "", "x"), lease_seconds)
        side.owners.answer_as(
            lambda: side.worker_no,
            holds=lambda credential_no: credential_no in side.held,
            on_ended=lambda number, word: side.ended.append((number, word)),
        )
        await self.leases.claim(side.worker_no)

    async def rows(self) -> int:
        count: int = await self.database.fetch_value("SELECT count(*) FROM owner_questions")
        return count


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    made = await Maker(database).sync(epoch=0)
    credential_no = await database.fetch_value(
        "SELECT credential_no FROM credentials WHERE credential_id = $1", made.credential.credential_id
    )
    async with AsyncExitStack() as stack:
        first, second, asker = [await stack.enter_async_context(end_of(database)) for _ in range(3)]
        yield World(database, LeaseStore(database), credential_no, first, second, asker)


def greets(side: Side, as_whom: str, *, after: Callable[[], Awaitable[object]] | None = None) -> None:
    async def greet(_: int, question: Greeting, __: int | None) -> Reply:
        if after is not None:
            await after()

        def undelivered() -> None:
            side.undelivered += 1

        return Reply(f"{as_whom} greets {question.name}".encode(), undelivered)

    side.owners.handle(Greeting, greet)


async def test_the_holder_answers(world: World) -> None:
    greets(world.first, "first")
    greets(world.second, "second")
    await world.hold(world.first)
    await world.hold(world.second)
    asked = asyncio.get_running_loop().time()
    for name in ("ada", "bob"):
        answer = await world.asker.owners.ask(world.credential_no, Greeting(name), timeout_seconds=5)
        assert answer == f"first greets {name}".encode()
    # By notifications: looking again takes half a second each time.
    assert asyncio.get_running_loop().time() - asked < 0.9
    await until(lambda: nothing_left(world))
    assert world.first.undelivered == 0


async def nothing_left(world: World) -> bool:
    return await world.rows() == 0


async def test_in_the_holder_s_own_process_the_database_is_not_asked(world: World) -> None:
    greets(world.first, "first")
    world.first.held.add(world.credential_no)
    world.first.owners.answer_as(lambda: 1, holds=lambda no: no in world.first.held, on_ended=lambda *_: None)
    answer = await world.first.owners.ask(world.credential_no, Greeting("ada"), timeout_seconds=5)
    assert answer == b"first greets ada"
    assert await world.database.fetch_value("SELECT last_value FROM owner_questions_question_no_seq") == 1


async def test_a_holder_that_does_not_know_it_yet_is_found_in_its_own_process(world: World) -> None:
    greets(world.first, "first")
    await world.hold(world.first)
    answer = await world.first.owners.ask(world.credential_no, Greeting("ada"), timeout_seconds=5)
    assert answer == b"first greets ada"


@pytest.mark.parametrize("deaf", ["holder", "asker"])
async def test_a_lost_notification_costs_half_a_second(world: World, deaf: str) -> None:
    greets(world.first, "first")
    await world.hold(world.first)
    lossy = world.asker if deaf == "holder" else world.first
    tell = lossy.wakeups.tell
    lost: list[str] = []

    def lose(word: str) -> None:
        if lost:
            tell(word)
        lost.append(word)

    lossy.wakeups.tell = lose  # type: ignore[method-assign]
    answer = await world.asker.owners.ask(world.credential_no, Greeting("ada"), timeout_seconds=10)
    assert answer == b"first greets ada"
    assert lost


async def test_where_nobody_holds_it_the_wait_is_bounded(world: World) -> None:
    greets(world.first, "first")
    with pytest.raises(OwnerUnavailable, match=r"no worker holds it within 0\.3 s; try again"):
        await world.asker.owners.ask(world.credential_no, Greeting("ada"), timeout_seconds=0.3)
    await until(lambda: nothing_left(world))


async def test_who_takes_over_meanwhile_answers(world: World) -> None:
    stuck = asyncio.Event()
    greets(world.first, "first", after=stuck.wait)
    greets(world.second, "second")
    await world.hold(world.first)
    asking = asyncio.create_task(world.asker.owners.ask(world.credential_no, Greeting("ada"), timeout_seconds=10))
    await until(lambda: world.first.owners._answering)
    assert world.first.worker_no is not None
    await world.leases.remove_workers([world.first.worker_no])
    await world.hold(world.second)
    assert await asking == b"second greets ada"
    # The former holder's answer comes too late, and it learns that.
    stuck.set()
    await until(lambda: world.first.undelivered == 1 or not world.first.owners._answering)


async def test_a_late_answer_of_a_former_holder_does_not_count(world: World) -> None:
    stuck = asyncio.Event()
    greets(world.first, "first", after=stuck.wait)
    await world.hold(world.first)
    asking = asyncio.create_task(world.asker.owners.ask(world.credential_no, Greeting("ada"), timeout_seconds=1.5))
    await until(lambda: world.first.owners._answering)
    assert world.first.worker_no is not None
    await world.leases.remove_workers([world.first.worker_no])
    stuck.set()
    await until(lambda: world.first.undelivered == 1)
    with pytest.raises(OwnerUnavailable, match="no worker holds it"):
        await asking


async def test_who_gives_up_is_not_answered(world: World) -> None:
    stuck = asyncio.Event()
    greets(world.first, "first", after=stuck.wait)
    await world.hold(world.first)
    with pytest.raises(OwnerUnavailable, match="the worker that holds it did not answer"):
        await world.asker.owners.ask(world.credential_no, Greeting("ada"), timeout_seconds=0.3)
    await until(lambda: not world.first.owners._answering)
    await until(lambda: nothing_left(world))


async def test_a_question_that_the_holder_does_not_know_is_not_answered(world: World) -> None:
    greets(world.first, "first")
    await world.hold(world.first)
    with pytest.raises(OwnerUnavailable):
        await world.asker.owners.ask(world.credential_no, Riddle(), timeout_seconds=0.3)


async def test_a_question_that_a_crash_of_the_server_forgot_is_put_again(world: World) -> None:
    asking = asyncio.create_task(world.asker.owners.ask(world.credential_no, Greeting("ada"), timeout_seconds=10))
    await until(world.rows)
    await world.database.execute("TRUNCATE owner_questions")
    greets(world.first, "first")
    await world.hold(world.first)
    assert await asking == b"first greets ada"


async def test_what_became_of_an_answer_reaches_the_holder(world: World) -> None:
    greets(world.first, "first")
    await world.hold(world.first)
    async with world.asker.owners.asking(world.credential_no, Greeting("ada"), timeout_seconds=5) as answer:
        assert answer.question_no is not None
        assert await world.rows() == 1  # a successor could read it
        world.asker.owners.tell_ended(answer, "with thanks")
    await until(lambda: world.first.ended == [(answer.question_no, "with thanks")])
    await until(lambda: nothing_left(world))
