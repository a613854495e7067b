"""Reading one record again because somebody asks for it, by the worker that runs its sync."""

from collections.abc import Awaitable, Callable
from typing import Final, Literal

import msgspec

from springline.domain.errors import OwnerUnavailable
from springline.engine.owners import Owners, Reply

#: Whoever asks is told after this that there is no answer; the record may still be read.
ANSWER_SECONDS: Final = 20.0


class Refreshed(msgspec.Struct, frozen=True):
    """What became of it. `failed`: the provider did not answer as it should, `words` says how. `unreadable`: nothing
    reads one such record."""

    outcome: Literal["done", "not_running", "unreadable", "failed"]
    words: str = ""


class RefreshQuestion(msgspec.Struct, frozen=True, tag="refresh"):
    """Read this record of a sync again, ahead of everything that nobody waits for."""

    sync_no: int
    collection_id: str
    upstream_id: str


#: Reads a record of a sync that runs in this process.
RefreshHere = Callable[[int, str, str], Awaitable[Refreshed]]


class Refreshes:
    """Has records read by the holder of their credential's lease, and reads them as one."""

    def __init__(self, owners: Owners, here: RefreshHere) -> None:
        self._owners = owners
        self._here = here
        owners.handle(RefreshQuestion, self._answer)

    async def refresh(self, credential_no: int, question: RefreshQuestion) -> Refreshed:
        """Returns when the record was read and what was found is written. Raises OwnerUnavailable if nobody answers."""
        answer = await self._owners.ask(credential_no, question, timeout_seconds=ANSWER_SECONDS)
        return msgspec.json.decode(answer, type=Refreshed)

    async def _answer(self, credential_no: int, question: RefreshQuestion, question_no: int | None) -> Reply:
        done = await self._here(question.sync_no, question.collection_id, question.upstream_id)
        return Reply(msgspec.json.encode(done))


async def nobody_refreshes(credential_no: int, question: RefreshQuestion) -> Refreshed:
    """For a process that cannot ask a worker."""
    raise OwnerUnavailable("no worker can be asked; try again")
