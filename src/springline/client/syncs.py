"""Syncs: keep these collections of this credential flowing into that stream."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from springline.client.connection import Connection, segment
from springline.client.objects import Backfills, Explanation, Hold, Listing, RateLimit, Sync

Metadata = Mapping[str, Any]


class Syncs:
    """Every method raises ClientError. A sync never changes its provider, stream or credential."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(
        self,
        *,
        provider: str | UnsetType = UNSET,
        stream_id: str | UnsetType = UNSET,
        credential_id: str | UnsetType = UNSET,
        status: str | UnsetType = UNSET,
        health: str | UnsetType = UNSET,
        name: str | UnsetType = UNSET,
        external_id: str | UnsetType = UNSET,
        metadata: Metadata | UnsetType = UNSET,
    ) -> Listing[Sync]:
        """Those that match all filters; `metadata` matches what contains it."""
        filters = {
            "provider": provider,
            "stream_id": stream_id,
            "credential_id": credential_id,
            "status": status,
            "health.status": health,
            "name": name,
            "external_id": external_id,
            "metadata": metadata,
        }
        return await self._connection.listing("/v1/syncs", Sync, filters)

    async def get(self, sync_id: str) -> Sync:
        return await self._connection.get(f"/v1/syncs/{segment(sync_id)}", Sync)

    async def create(
        self,
        *,
        provider: str,
        stream_id: str,
        name: str,
        collection_ids: Sequence[str],
        credential_id: str | UnsetType = UNSET,
        credential: Mapping[str, Any] | UnsetType = UNSET,
        rate_limit: RateLimit | UnsetType = UNSET,
        max_age_days: float | UnsetType | None = UNSET,
        sync_frequency: str | UnsetType = UNSET,
        metadata: Metadata | UnsetType = UNSET,
        external_id: str | UnsetType = UNSET,
    ) -> Sync:
        """One of `credential_id` and `credential` (`{"properties": {"kind": …}}`) is needed."""
        body = {
            "provider": provider,
            "stream_id": stream_id,
            "name": name,
            "collection_ids": collection_ids,
            "credential_id": credential_id,
            "credential": credential,
            "rate_limit": rate_limit,
            "max_age_days": max_age_days,
            "sync_frequency": sync_frequency,
            "metadata": metadata,
            "external_id": external_id,
        }
        return await self._connection.post("/v1/syncs", body, Sync)

    async def update(
        self,
        sync_id: str,
        *,
        name: str | UnsetType = UNSET,
        collection_ids: Sequence[str] | UnsetType = UNSET,
        status: Literal["active", "disabled"] | UnsetType = UNSET,
        rate_limit: RateLimit | UnsetType | None = UNSET,
        max_age_days: float | UnsetType | None = UNSET,
        sync_frequency: str | UnsetType = UNSET,
        metadata: Metadata | UnsetType = UNSET,
        external_id: str | UnsetType | None = UNSET,
    ) -> Sync:
        """Fields left out stay as they are; `collection_ids` is the whole new list."""
        body = {
            "name": name,
            "collection_ids": collection_ids,
            "status": status,
            "rate_limit": rate_limit,
            "max_age_days": max_age_days,
            "sync_frequency": sync_frequency,
            "metadata": metadata,
            "external_id": external_id,
        }
        return await self._connection.patch(f"/v1/syncs/{segment(sync_id)}", body, Sync)

    async def delete(self, sync_id: str, *, records: Literal["delete", "keep", "erase"] = "delete") -> None:
        """The sync's records leave the stream as deletions, or stay (`keep`), or lose their data too (`erase`)."""
        query = {"delete": {}, "keep": {"keep_records": "true"}, "erase": {"erase": "true"}}[records]
        await self._connection.request("DELETE", f"/v1/syncs/{segment(sync_id)}", query=query)

    async def explain(self, sync_id: str) -> Explanation:
        """What each of its collections does or waits for, its last requests, and the use of its quota."""
        return await self._connection.get(f"/v1/syncs/{segment(sync_id)}/explain", Explanation)

    async def holds(
        self, sync_id: str, *, status: Literal["held", "applied", "discarded"] | UnsetType = UNSET
    ) -> Listing[Hold]:
        """What was kept back of it: records, pages and deletions."""
        return await self._connection.listing(f"/v1/syncs/{segment(sync_id)}/holds", Hold, {"status": status})

    async def decide_hold(self, sync_id: str, hold_id: str, action: Literal["apply", "discard"]) -> Hold:
        """Applies deletions that were stopped, or discards what is held."""
        path = f"/v1/syncs/{segment(sync_id)}/holds/{segment(hold_id)}"
        return await self._connection.post(path, {"action": action}, Hold)

    async def start_backfill(self, sync_id: str, collection_ids: Sequence[str] | UnsetType = UNSET) -> Backfills:
        """Has collections (default: all) read anew; what is found unchanged is not delivered."""
        path = f"/v1/syncs/{segment(sync_id)}/backfills"
        return await self._connection.post(path, {"collection_ids": collection_ids}, Backfills)

    async def backfills(self, sync_id: str) -> Backfills:
        """How far each collection's newest backfill has come."""
        return await self._connection.get(f"/v1/syncs/{segment(sync_id)}/backfills", Backfills)
