"""One writer per stream and process: it commits whatever pages are ready together, and never waits for more."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from springline import telemetry
from springline.domain.records import Outcome
from springline.metrics import Metrics
from springline.store.database import UNAVAILABLE
from springline.store.pages import CommittedPage, Page, PageRefused, PageStore

log = telemetry.logger("commits")

#: What one statement takes at most.
MOST_RECORDS: Final = 1000
MOST_BYTES: Final = 4 * 1024 * 1024
_LONGEST_PAUSE_SECONDS: Final = 2.0

_Waiting = tuple[Page, "asyncio.Future[CommittedPage]"]


class StreamWriter:
    """Commits pages of one stream. An idle writer has no task."""

    def __init__(
        self, stream_no: int, store: PageStore, *, on_commit: Callable[[int], None], metrics: Metrics | None = None
    ) -> None:
        self.stream_no = stream_no
        self.metrics = metrics or Metrics()
        #: The highest index that this process knows of: the `as_of` of a read that begins now.
        self.head_idx = 0
        self._store = store
        self._on_commit = on_commit
        self._ready: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def refresh_head(self) -> int:
        """Learns what other processes have written."""
        self.head_idx = max(self.head_idx, await self._store.head_idx(self.stream_no))
        return self.head_idx

    async def commit(self, page: Page) -> CommittedPage:
        """Returns when the page is durable. Raises PageRefused if the database will never take it.

        While the database is not available it waits: the statement may have run, and running it again changes nothing.
        A page whose caller was cancelled before its turn came is not written.
        """
        future: asyncio.Future[CommittedPage] = asyncio.get_running_loop().create_future()
        self._ready.append((page, future))
        if self._task is None:
            self._task = asyncio.create_task(self._write_all())
        return await future

    async def settle(self) -> None:
        """Returns when all that was handed over before is committed, also for callers that no longer wait."""
        await self.commit(Page(sync_no=0, epoch=0))

    async def close(self) -> None:
        """Drops what is not committed yet; whoever waits is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None  # one that had not begun to run could not do so itself
        for _, future in self._ready:
            future.cancel()
        self._ready.clear()

    async def _write_all(self) -> None:
        try:
            while self._ready:
                together = _take_together(self._ready)
                if not together:
                    continue
                try:
                    await self._write(together)
                except asyncio.CancelledError:
                    for _, future in together:
                        future.cancel()
                    raise
        finally:
            self._task = None

    async def _write(self, together: list[_Waiting]) -> None:
        try:
            committed = await self._commit_when_possible([page for page, _ in together])
        except PageRefused as error:
            if len(together) == 1:
                _settle(together[0][1], error=error)
                return
            for waiting in together:  # one by one: only the one at fault is refused
                await self._write([waiting])
            return
        except Exception as error:
            for _, future in together:
                _settle(future, error=error)
            return
        for (_, future), result in zip(together, committed, strict=True):
            _settle(future, result=result)

    async def _commit_when_possible(self, pages: list[Page]) -> list[CommittedPage]:
        pause = 0.05
        while True:
            try:
                head_idx, committed = await self._store.commit(self.stream_no, pages)
            except UNAVAILABLE as error:
                log.warning("commits.database_unavailable", error=error, stream_no=self.stream_no)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                continue
            self.head_idx = max(self.head_idx, head_idx)
            self._count(committed)
            if any(Outcome.created <= outcome <= Outcome.deleted for page in committed for outcome in page.outcomes):
                self._on_commit(self.stream_no)
            return committed

    def _count(self, committed: list[CommittedPage]) -> None:
        outcomes = Counter(outcome for page in committed for outcome in page.outcomes)
        del outcomes[Outcome.compare]  # they are sent again
        counted = {outcome.name: records for outcome, records in outcomes.items()}
        self.metrics.count_commit(counted, fenced_off=sum(page.fenced_off for page in committed))


def _settle(
    future: "asyncio.Future[CommittedPage]", *, result: CommittedPage | None = None, error: Exception | None = None
) -> None:
    if future.done():  # whoever waited has gone
        return
    if error is not None:
        future.set_exception(error)
    elif result is not None:
        future.set_result(result)


def _take_together(ready: list[_Waiting]) -> list[_Waiting]:
    """The first pages that fit one statement: no key twice, no checkpoint twice, one epoch per sync. They leave
    `ready`, and so do those before them for which nobody waits any more."""
    together: list[_Waiting] = []
    taken = records = size = 0
    keys: set[tuple[int, str]] = set()
    marks: set[tuple[int, str]] = set()
    epochs: dict[int, int] = {}
    for page, future in ready:
        if future.done():
            taken += 1
            continue
        page_keys = {(record.source_no, record.upstream_id) for record in page.records}
        page_marks = {(page.sync_no, name) for name in page.checkpoints}
        records += len(page.records)
        size += page.size
        is_too_much = records > MOST_RECORDS or size > MOST_BYTES
        if together and (is_too_much or keys & page_keys or marks & page_marks):
            break
        if epochs.setdefault(page.sync_no, page.epoch) != page.epoch:
            break  # its sync was taken over meanwhile: each epoch is asked for by itself (I3)
        together.append((page, future))
        taken += 1
        keys |= page_keys
        marks |= page_marks
    del ready[:taken]
    return together


class StreamWriters:
    """The writers of this process, by stream."""

    def __init__(self, store: PageStore, *, on_commit: Callable[[int], None], metrics: Metrics | None = None) -> None:
        self.store = store
        self._on_commit = on_commit
        self._metrics = metrics or Metrics()
        self._writers: dict[int, StreamWriter] = {}

    def writer(self, stream_no: int) -> StreamWriter:
        if stream_no not in self._writers:
            self._writers[stream_no] = StreamWriter(
                stream_no, self.store, on_commit=self._on_commit, metrics=self._metrics
            )
        return self._writers[stream_no]

    async def close(self) -> None:
        for writer in self._writers.values():
            await writer.close()
