"""Health: what is seen, since when, what it most likely means, what to do."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

PartStatus = Literal["ok", "warn", "error"]
SyncStatus = Literal["healthy", "warn", "error"]

_RANKS: dict[PartStatus, int] = {"ok": 0, "warn": 1, "error": 2}
_OVERALL: tuple[SyncStatus, ...] = ("healthy", "warn", "error")


class PartHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a sync. `notes` are whole sentences; `time`: since when it is so."""

    status: PartStatus = "ok"
    notes: tuple[str, ...] = ()
    time: datetime | None = None


class SyncHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The health of a sync: `status` is the worst of its parts."""

    status: SyncStatus
    sync_id: uuid.UUID
    credential: PartHealth
    provider: PartHealth
    collections: dict[str, PartHealth]


def sync_health(
    sync_id: uuid.UUID, *, credential: PartHealth, provider: PartHealth, collections: dict[str, PartHealth]
) -> SyncHealth:
    """The health of a sync from that of its parts."""
    worst = max(_RANKS[part.status] for part in _parts(credential, provider, collections.values()))
    return SyncHealth(
        status=_OVERALL[worst], sync_id=sync_id, credential=credential, provider=provider, collections=collections
    )


def health_before_first_request(sync_id: uuid.UUID, collection_ids: Iterable[str], *, since: datetime) -> SyncHealth:
    """Nothing is known yet, so nothing is wrong."""
    fine = PartHealth(time=since)
    return sync_health(sync_id, credential=fine, provider=fine, collections=dict.fromkeys(collection_ids, fine))


def _parts(credential: PartHealth, provider: PartHealth, collections: Iterable[PartHealth]) -> list[PartHealth]:
    return [credential, provider, *collections]
