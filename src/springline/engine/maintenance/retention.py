"""What has been kept long enough: the event log and its versions, and tombstones."""

from springline.store.retention import RetentionStore


class Retention:
    """Removes what is older than a stream keeps it, in batches."""

    def __init__(self, store: RetentionStore) -> None:
        self._store = store

    async def remove_expired(self) -> int:
        """Returns how many rows went."""
        removed = 0
        for stream_no in await self._store.list_streams():
            while batch := await self._store.remove_expired(stream_no):
                removed += batch
        return removed
