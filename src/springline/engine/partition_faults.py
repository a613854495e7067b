"""What is done about partitions that cannot be read: each by itself is left, and the others go on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from springline.domain.errors import (
    NotFound,
    NotPermitted,
    ProviderBroken,
    ProviderError,
    RequestRejected,
    RetryLater,
    SlowDown,
)
from springline.domain.records import DetectedBy
from springline.engine.partitions import Partition
from springline.engine.quotas import Priority
from springline.engine.session import CollectionSession, SyncSession

#: A partition that makes no sense is left after so many tries; the next sweep tries it again.
_MOST_FAULTS: Final = 3
#: So many that are not permitted, and not one that is: the collection as a whole may not be. It is put off, and goes on
#: with those that follow.
_MOST_DENIED: Final = 3
#: These are of one partition by their nature: switched off there, or blocked.
_OF_ONE_PARTITION: Final = (410, 451)


class PartitionFaults:
    """The faults of a round over a collection's partitions."""

    def __init__(self, session: SyncSession, part: CollectionSession) -> None:
        self._session = session
        self._part = part
        self._broken: dict[int, int] = {}
        self._denied: NotPermitted | None = None
        #: In a row, since it was put off or one could be read.
        self._denied_times = 0
        self._read = 0

    def begin(self) -> None:
        """A new round."""
        self._denied, self._read = None, 0

    @asynccontextmanager
    async def of(self, partition: Partition) -> AsyncIterator[None]:
        """Swallows the faults that are this partition's own; they are told by health.

        Raises NotPermitted where none of the last partitions could be read, before this one is, so that it is the next;
        and all that is not of one partition.
        """
        if self._denied is not None and self._denied_times >= _MOST_DENIED:
            self._denied_times = 0
            raise self._denied
        try:
            yield
        except NotPermitted as error:
            self._leave(partition, error)
            self._denied = error
            if self._read == 0 and error.status not in _OF_ONE_PARTITION:
                self._denied_times += 1
        except NotFound as error:
            # Gone, renamed, or out of sight: its parent is asked, and what is gone takes its children along.
            self._leave(partition, error)
            await self._ask_parent(partition)
        except SlowDown:
            raise
        except (RequestRejected, ProviderBroken, RetryLater) as error:
            self._broken[partition.parent_no] = self._broken.get(partition.parent_no, 0) + 1
            if self._broken[partition.parent_no] < _MOST_FAULTS:
                raise
            if isinstance(error, RetryLater):
                await self._ask_otherwise()
            self._leave(partition, error)
        else:
            self._read += 1
            self._denied_times = 0
            self._broken.pop(partition.parent_no, None)
            self._part.unread.pop(partition.parent_id, None)

    def end(self) -> None:
        """The round is over. Raises NotPermitted if there were partitions, and none could be read."""
        if self._denied is not None and self._read == 0:
            raise self._denied

    def _leave(self, partition: Partition, error: ProviderError) -> None:
        self._part.unread[partition.parent_id] = error.words

    async def _ask_otherwise(self) -> None:
        """Raises the errors of `domain.errors` where it is the provider that cannot answer, not this partition."""
        await self._session.fetcher.fetch(self._session.fetcher.check, Priority.poll)

    async def _ask_parent(self, partition: Partition) -> None:
        parents = self._session.parent_of(self._part)
        if parents is None or parents.collection.read is None:
            return
        self._session.partitions.forget(partition.parent_no)
        await self._session.reread(parents, [partition.parent_id], DetectedBy.poll)
