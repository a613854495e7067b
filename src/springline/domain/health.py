"""Health: what is seen, since when, what it most likely means, what to do."""

import uuid
from collections.abc import Iterable, Sequence
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


def worst(parts: Sequence[PartHealth]) -> PartHealth:
    """One of several things that are said about a part: the worst status, since when there is something to say, and
    all notes, those of the worst first."""
    ranked = sorted(parts, key=lambda part: -_RANKS[part.status])
    notes = dict.fromkeys(note for part in ranked for note in part.notes)
    times = [part.time for part in parts if part.time is not None]
    return PartHealth(status=ranked[0].status, notes=tuple(notes), time=min(times, default=None))


def sync_health(
    sync_id: uuid.UUID, *, credential: PartHealth, provider: PartHealth, collections: dict[str, PartHealth]
) -> SyncHealth:
    """The health of a sync from that of its parts."""
    rank = max(_RANKS[part.status] for part in _parts(credential, provider, collections.values()))
    return SyncHealth(
        status=_OVERALL[rank], sync_id=sync_id, credential=credential, provider=provider, collections=collections
    )


def health_before_first_request(sync_id: uuid.UUID, collection_ids: Iterable[str], *, since: datetime) -> SyncHealth:
    """Nothing is known yet, so nothing is wrong."""
    fine = PartHealth(time=since)
    return sync_health(sync_id, credential=fine, provider=fine, collections=dict.fromkeys(collection_ids, fine))


def _parts(credential: PartHealth, provider: PartHealth, collections: Iterable[PartHealth]) -> list[PartHealth]:
    return [credential, provider, *collections]
