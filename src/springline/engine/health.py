"""What is seen of a running sync: its health and progress, written where they have changed."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from springline import telemetry
from springline.domain.health import PartHealth, PartStatus, SyncHealth, sync_health, worst
from springline.domain.syncs import CollectionProgress
from springline.engine.activities import as_sentence
from springline.engine.session import CollectionSession, SyncSession
from springline.store.database import UNAVAILABLE
from springline.store.leases import LeaseStore

log = telemetry.logger("sync")

#: What is seen is written no more often than this, while more is to come.
OBSERVE_EVERY_SECONDS: Final = 1.0
#: So many things of a kind are named in a note.
_MOST_NAMED: Final = 3
CREDENTIAL: Final = "credential"
PROVIDER: Final = "provider"


class Notes:
    """What the works of a sync say about its parts: the credential, the provider, each collection. A work takes back
    only its own words: that the feed goes well does not mean that a sweep does."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], PartHealth] = {}

    def say(self, work: str, parts: Iterable[str], status: PartStatus, sentence: str) -> None:
        for part in parts:
            known = self._said.get((work, part))
            since = known.time if known is not None and known.status == status else datetime.now(UTC)
            self._said[work, part] = PartHealth(status=status, notes=(sentence,), time=since)

    def take_back(self, work: str) -> None:
        """The work went well. So the provider answers, and accepts the credential."""
        self._said = {
            (who, part): said
            for (who, part), said in self._said.items()
            if who != work and part not in (CREDENTIAL, PROVIDER)
        }

    def of(self, part: str, *, otherwise: PartHealth) -> PartHealth:
        """All that is said about a part, the worst first."""
        said = [each for (_, about), each in self._said.items() if about == part]
        return worst(said) if said else otherwise


class Observations:
    """Writes what is seen of one sync."""

    def __init__(self, session: SyncSession, leases: LeaseStore, notes: Notes) -> None:
        self._session = session
        self._leases = leases
        self._notes = notes
        self._written: tuple[SyncHealth, dict[str, CollectionProgress]] | None = None
        self._written_at = float("-inf")
        self._backfill_noted = session.sync.initial_backfill_completed_at is not None

    async def write(self, *, more_to_come: bool, backfilled: bool) -> None:
        """Writes what has changed. Never raises: it is seen again after the next work."""
        now = time.monotonic()
        if more_to_come and now - self._written_at < OBSERVE_EVERY_SECONDS:
            return
        sync = self._session.sync
        health = self._health()
        progress = {cid: self._progress(part) for cid, part in self._session.collections.items()}
        if not self._is_new(health, progress):
            return
        try:
            await self._leases.save_observations(sync.sync_no, health=health, progress=progress)
            await self._leases.save_credential_health(sync.credential_no, health.credential)
            if backfilled and not self._backfill_noted:
                await self._leases.complete_backfill(sync.sync_no)
                self._backfill_noted = True
        except UNAVAILABLE:
            return
        except Exception as error:
            log.error("sync.not_observed", error=error, sync_id=sync.sync_id)  # noqa: TRY400
            return
        self._written, self._written_at = (health, progress), now

    def _health(self) -> SyncHealth:
        sync = self._session.sync
        fine = PartHealth(time=sync.created_at)
        collections = {}
        for collection_id, part in self._session.collections.items():
            said = self._notes.of(collection_id, otherwise=fine)
            # That it is not permitted at all has been said.
            notes = list(_standing_notes(part, with_unread=said.status != "error"))
            if notes:
                status: PartStatus = "warn" if said.status == "ok" else said.status
                said = PartHealth(status=status, notes=(*said.notes, *notes), time=said.time)
            collections[collection_id] = said
        return sync_health(
            sync.sync_id,
            credential=self._notes.of(CREDENTIAL, otherwise=fine),
            provider=self._notes.of(PROVIDER, otherwise=fine),
            collections=collections,
        )

    def _progress(self, part: CollectionSession) -> CollectionProgress:
        swept = None if part.last_sweep_at is None else datetime.fromtimestamp(part.last_sweep_at, UTC)
        return CollectionProgress(
            phase=part.phase,
            records=part.records,
            requests=part.requests,
            poll_interval_seconds=part.poll_interval,
            lag_seconds=part.lag_seconds,
            last_sweep_completed_at=swept,
            waiting_for="quota" if self._session.quota.is_waited_for else None,
        )

    def _is_new(self, health: SyncHealth, progress: dict[str, CollectionProgress]) -> bool:
        """Idle polls change nothing but their own count and pause."""
        if self._written is None:
            return True
        known_health, known_progress = self._written
        return known_health != health or any(
            _what_counts(part) != _what_counts(known_progress[cid]) for cid, part in progress.items()
        )


def _standing_notes(part: CollectionSession, *, with_unread: bool) -> Iterator[str]:
    """What is to be said of a collection for as long as it is so."""
    held, last_reason = part.held
    if held:
        yield (
            f"{held} records are held, since they cannot be kept as they are; the last one {last_reason}. "
            "Their neighbours were written; the API's own object has to be mended."
        )
    held_deletions = [each for each in part.held_deletions.values() if each.status == "held"]
    for each in held_deletions[:_MOST_NAMED]:
        yield f"Deletions are held: {each.reason}. Look at the sync's holds, then apply or discard them."
    if part.unread and with_unread:
        named = ", ".join(list(part.unread)[:_MOST_NAMED])
        words = next(iter(part.unread.values()))
        yield (
            f"What belongs to {len(part.unread)} of its parents cannot be read ({named}): {as_sentence(words)} "
            "It is tried again by each sweep; the others go on."
        )


def _what_counts(part: CollectionProgress) -> tuple[object, ...]:
    return part.phase, part.records, part.lag_seconds, part.last_sweep_completed_at
