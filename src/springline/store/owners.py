"""Questions to whoever holds a credential's lease, and their answers."""

from typing import NamedTuple

from springline.store.database import Database
from springline.store.statements import load_statements


class Asked(NamedTuple):
    """A question that was put. `holder`: the worker to answer it; None: nobody holds the credential's lease."""

    question_no: int
    holder: int | None


class Looked(NamedTuple):
    """How a question stands. `answer` None: not yet; `age_seconds`: since it was answered."""

    answer: bytes | None
    age_seconds: float | None
    holder: int | None


class OpenQuestion(NamedTuple):
    """A question that this worker is to answer, within so many seconds."""

    question_no: int
    credential_no: int
    question: bytes
    expires_in_seconds: float


class AnsweredQuestion(NamedTuple):
    """A question that was answered so long ago, and is not settled yet."""

    question_no: int
    question: bytes
    answer: bytes
    age_seconds: float


class OwnerStore:
    """The table through which processes ask each other."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("owners")

    async def ask(self, credential_no: int, question: bytes, *, expires_in_seconds: float) -> Asked:
        row = await self._database.fetch_row(self._sql["ask"], credential_no, question, expires_in_seconds)
        assert row is not None
        return Asked(*row)

    async def find_holder(self, credential_no: int) -> int | None:
        """The worker that holds the credential's lease; None: nobody does."""
        holder: int | None = await self._database.fetch_value(self._sql["find_holder"], credential_no)
        return holder

    async def look(self, question_no: int) -> Looked | None:
        """None: the question is gone, as after a crash of the server."""
        row = await self._database.fetch_row(self._sql["look"], question_no)
        return None if row is None else Looked(*row)

    async def list_open(self, worker_no: int) -> list[OpenQuestion]:
        """Oldest first."""
        return [OpenQuestion(*row) for row in await self._database.fetch(self._sql["list_open"], worker_no)]

    async def answer(self, question_no: int, answer: bytes, *, worker_no: int) -> bool:
        """False: nobody waits for it any more, or this worker does not hold the credential any more."""
        return await self._database.fetch_value(self._sql["answer"], question_no, answer, worker_no) is not None

    async def end_question(self, question_no: int) -> Looked | None:
        """The question is settled or given up; returns what it had come to. None: it was gone."""
        row = await self._database.fetch_row(self._sql["end_question"], question_no)
        return None if row is None else Looked(row["answer"], row["age_seconds"], None)

    async def list_answered(self, credential_no: int) -> list[AnsweredQuestion]:
        rows = await self._database.fetch(self._sql["list_answered"], credential_no)
        return [AnsweredQuestion(*row) for row in rows]
