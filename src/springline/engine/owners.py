"""Asking whoever holds a credential's lease: for a permit, for what its quota looks like.

A question is a row, which the holder is told of by a notification and answers in the row. A notification can be lost:
whoever asks looks again by itself, and tells the holder again. Where the holder is lost meanwhile, its successor is
told. In the holder's own process nothing of this is needed: the question is answered directly.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple, TypeVar, Union

import msgspec

from springline import telemetry
from springline.domain.errors import OwnerUnavailable
from springline.engine.wakeups import Wakeups
from springline.store.database import UNAVAILABLE
from springline.store.owners import OpenQuestion, OwnerStore

log = telemetry.logger("owners")

#: Whoever asks looks again after this, whether it was told anything or not.
LOOK_AGAIN_SECONDS: Final = 0.5

Question = TypeVar("Question", bound=msgspec.Struct)


class Reply(NamedTuple):
    """A handler's answer. `undelivered` is called if nobody waited for it any more."""

    answer: bytes
    undelivered: Callable[[], None] = lambda: None


class Answer(NamedTuple):
    """What the holder answered, so long ago. `question_no` is None where it is this process."""

    content: bytes
    age_seconds: float
    question_no: int | None


#: Gets the credential's number, the question, and the question's number.
Handler = Callable[[int, Any, int | None], Awaitable[Reply]]


class Owners:
    """Asks holders of leases, and answers as one. `ended` words tell a holder what came of an answer that was used."""

    def __init__(self, store: OwnerStore, wakeups: Wakeups) -> None:
        self._store = store
        self._wakeups = wakeups
        self._worker_no: Callable[[], int | None] = lambda: None
        self._holds: Callable[[int], bool] = lambda credential_no: False
        self._handlers: dict[type[msgspec.Struct], Handler] = {}
        self._decoder: msgspec.json.Decoder[Any] | None = None
        self._on_ended: Callable[[int, str], None] = lambda question_no, word: None
        self._waiting: dict[int, asyncio.Event] = {}
        self._answering: dict[int, asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._look_again = False
        self._ending: set[asyncio.Task[Any]] = set()
        wakeups.on_word(self._hear)

    # a holder's side ------------------------------------------------------------------------------

    def answer_as(
        self,
        worker_no: Callable[[], int | None],
        *,
        holds: Callable[[int], bool],
        on_ended: Callable[[int, str], None],
    ) -> None:
        """This process has a worker. `holds`: whether it is known here that it holds a credential's lease."""
        self._worker_no, self._holds, self._on_ended = worker_no, holds, on_ended

    def handle(self, kind: type[Question], handler: Callable[[int, Question, int | None], Awaitable[Reply]]) -> None:
        """Questions of this kind, a tagged struct, are answered so. A handler that raises leaves the question open: it
        is put again until whoever asked gives up."""
        self._handlers[kind] = handler
        self._decoder = msgspec.json.Decoder(Union[tuple(self._handlers)])  # noqa: UP007

    def look(self) -> None:
        """There may be questions for this process's worker."""
        if self._looking is not None and not self._looking.done():
            self._look_again = True
            return
        self._looking = asyncio.create_task(self._answer_open())

    async def close(self) -> None:
        """Answers no more. What is being settled is."""
        tasks = [*self._answering.values(), *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._ending:
            await asyncio.wait(self._ending, timeout=1.0)

    async def _answer_open(self) -> None:
        while True:
            self._look_again = False
            worker_no = self._worker_no()
            if worker_no is None:
                return
            try:
                questions = await self._store.list_open(worker_no)
            except UNAVAILABLE:
                return  # whoever asks tells us again
            for question in questions:
                if question.question_no not in self._answering:
                    task = asyncio.create_task(self._answer(question, worker_no))
                    self._answering[question.question_no] = task
            if not self._look_again:
                return

    async def _answer(self, asked: OpenQuestion, worker_no: int) -> None:
        try:
            async with asyncio.timeout(max(0.0, asked.expires_in_seconds)):
                reply = await self._ask_handler(asked.credential_no, asked.question, asked.question_no)
            if await self._store.answer(asked.question_no, reply.answer, worker_no=worker_no):
                self._wakeups.tell(f"answered {asked.question_no}")
            else:
                reply.undelivered()
        except (*UNAVAILABLE, OwnerUnavailable) as error:
            log.debug("owners.not_answered", fault=type(error).__name__)
        except Exception as error:
            log.error("owners.failed", error=error)  # noqa: TRY400
        finally:
            self._answering.pop(asked.question_no, None)

    async def _ask_handler(self, credential_no: int, question: bytes, question_no: int | None) -> Reply:
        if self._decoder is None:
            raise OwnerUnavailable("this process answers nothing")
        try:
            decoded = self._decoder.decode(question)
        except msgspec.DecodeError:
            raise OwnerUnavailable("the holder does not know such questions; it may be of an older version") from None
        return await self._handlers[type(decoded)](credential_no, decoded, question_no)

    # who asks -------------------------------------------------------------------------------------

    async def is_held(self, credential_no: int) -> bool:
        """Whether somebody holds the credential's lease now, so that it is worth to ask."""
        return self._holds(credential_no) or await self._store.find_holder(credential_no) is not None

    async def ask(self, credential_no: int, question: msgspec.Struct, *, timeout_seconds: float) -> bytes:
        """The holder's answer. Raises OwnerUnavailable if none came in time, UNAVAILABLE if the database is away."""
        async with self.asking(credential_no, question, timeout_seconds=timeout_seconds) as answer:
            return answer.content

    @asynccontextmanager
    async def asking(
        self, credential_no: int, question: msgspec.Struct, *, timeout_seconds: float
    ) -> AsyncIterator[Answer]:
        """The same, for an answer that the holder stands by until the block is left: its successor can read it too."""
        content = msgspec.json.encode(question)
        if self._holds(credential_no):
            try:
                async with asyncio.timeout(timeout_seconds):
                    reply = await self._ask_handler(credential_no, content, None)
            except TimeoutError:
                raise _no_answer(credential_no, held=True, seconds=timeout_seconds) from None
            yield Answer(reply.answer, 0.0, None)
            return
        question_no, answer = await self._wait_for_answer(credential_no, content, timeout_seconds)
        try:
            yield answer
        finally:
            self._end(question_no)

    def tell_ended(self, answer: Answer, word: str) -> None:
        """Tells the holder what came of an answer that it stands by."""
        if answer.question_no is not None:
            self._wakeups.tell(f"ended {answer.question_no} {word}")

    async def _wait_for_answer(self, credential_no: int, content: bytes, timeout_seconds: float) -> tuple[int, Answer]:
        deadline = time.monotonic() + timeout_seconds
        question_no, holder = await self._store.ask(credential_no, content, expires_in_seconds=timeout_seconds)
        answered = self._waiting[question_no] = asyncio.Event()
        try:
            while (left := deadline - time.monotonic()) > 0:
                if holder is not None:
                    self._tell_holder(holder)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(LOOK_AGAIN_SECONDS, left)):
                        await answered.wait()
                answered.clear()
                looked = await self._store.look(question_no)
                if looked is None:  # lost in a crash of the server
                    return await self._wait_for_answer(credential_no, content, deadline - time.monotonic())
                if looked.answer is not None:
                    return question_no, Answer(looked.answer, looked.age_seconds or 0.0, question_no)
                holder = looked.holder
            looked = await self._store.end_question(question_no)
        except BaseException:
            self._give_up(question_no)
            raise
        finally:
            del self._waiting[question_no]
        if looked is not None and looked.answer is not None:
            return question_no, Answer(looked.answer, looked.age_seconds or 0.0, question_no)
        self._give_up(question_no)
        raise _no_answer(credential_no, held=holder is not None, seconds=timeout_seconds)

    def _give_up(self, question_no: int) -> None:
        self._wakeups.tell(f"ended {question_no}")
        self._end(question_no)

    def _tell_holder(self, holder: int) -> None:
        if holder == self._worker_no():
            self.look()
        else:
            self._wakeups.tell(f"ask {holder}")

    def _end(self, question_no: int) -> None:
        async def end() -> None:
            with suppress(*UNAVAILABLE):
                await self._store.end_question(question_no)

        task = asyncio.create_task(end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    # both -----------------------------------------------------------------------------------------

    def _hear(self, word: str) -> None:
        what, _, rest = word.partition(" ")
        number, _, rest = rest.partition(" ")
        if not number.isdigit():
            return
        if what == "ask" and int(number) == self._worker_no():
            self.look()
        elif what == "answered" and int(number) in self._waiting:
            self._waiting[int(number)].set()
        elif what == "ended":
            answering = self._answering.get(int(number))
            if answering is not None:
                answering.cancel()
            self._on_ended(int(number), rest)


def _no_answer(credential_no: int, *, held: bool, seconds: float) -> OwnerUnavailable:
    who = "the worker that holds it did not answer" if held else "no worker holds it"
    return OwnerUnavailable(f"credential {credential_no}: {who} within {seconds:g} s; try again")
