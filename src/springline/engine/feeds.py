"""The feed: an endpoint that lists what changed. An event is only a hint; the object it names is read again."""

import itertools
import math
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from springline.domain.checkpoints import FEED, BackfillState, FeedState, decode, encode
from springline.domain.errors import NotPermitted, ProviderBroken, RequestRejected
from springline.domain.records import DetectedBy
from springline.engine.backfills import Rewalk
from springline.engine.fetch import server_time
from springline.engine.partition_faults import PartitionFaults
from springline.engine.quotas import Priority
from springline.engine.rereads import BATCH, Rereader
from springline.engine.session import CollectionSession, SyncSession
from springline.providers.access import Answer, Request
from springline.providers.pages import split_envelope
from springline.providers.record_readers import decode_tolerantly
from springline.providers.vocabulary import EventFeed

#: A quick poll looks so far behind the last one: an event can be a second or two late for reasons of clock alone.
QUICK_OVERLAP_SECONDS: Final = 5
#: The whole late-arrival bound is read again this often.
FULL_OVERLAP_EVERY_SECONDS: Final = 30.0
SHORTEST_INTERVAL_SECONDS: Final = 0.5
#: So many hints are followed before it is saved how far that has come: a backlog can take hours.
FOLLOWED_AT_ONCE: Final = 4 * BATCH
#: So many hints that came late are followed between two polls: with a small quota more would hold up what is fresh.
LATE_AT_ONCE: Final = 10
#: A poll's pause is this share of the time since the last change: one cheap request finds the next one soon, also after
#: a few quiet minutes.
QUIET_SHARE: Final = 0.02
#: Of the quota, polls take at most this share while a backfill runs, and the other one afterwards.
BACKFILL_POLL_SHARE: Final = 0.1
POLL_SHARE: Final = 0.5
#: … or up to twice that share while a backfill runs, where this brings a change within two seconds. The ledger lets
#: only a tenth go before the backfill's pages; the others take their turn with them.
FRESH_SECONDS: Final = 1.2
#: A list brings a hundred records a request, a hint one: so many new events at once are answered like a gap.
MOST_EVENTS: Final = 100_000
#: Hints of a collection that may not be read are dropped for so long: its next sweep finds what they named.
DENIED_SECONDS: Final = 60.0
#: A poll that saw nothing is saved no more often than this; a gap is told from it.
IDLE_SAVE_SECONDS: Final = 3600
#: A gap is answered a day before the feed forgets.
_GAP_MARGIN_SECONDS: Final = 86_400


class Hint(NamedTuple):
    """What an event says is to be looked at: a record, or (`is_parent`) all that belongs to one parent."""

    part: CollectionSession
    upstream_id: str
    is_parent: bool


class Event(NamedTuple):
    """An event, with the ids that stand in it, by their paths."""

    event_id: str
    at: int
    type: str
    subjects: dict[tuple[str, ...], str]


class FeedPoll:
    """Polls the feed of one sync for all of its collections. `rewalks` read one parent's list again, by collection."""

    def __init__(
        self, session: SyncSession, feed: EventFeed, rereader: Rereader, *, rewalks: Mapping[str, Rewalk]
    ) -> None:
        self._session = session
        self._feed = feed
        self._rereader = rereader
        self._rewalks = rewalks
        self._needs_no_cutoff = False
        self._faults: dict[CollectionSession, PartitionFaults] = {}
        self._parts = [part for part in session.collections.values() if part.collection.feed is not None]
        self._by_type: dict[str, list[CollectionSession]] = {}
        for part in self._parts:
            for event_type in part.collection.feed.types if part.collection.feed is not None else ():
                self._by_type.setdefault(event_type, []).append(part)
        #: Events that were taken care of, by id, with their times: inside the overlap they come again.
        self._known: dict[str, int] = {}
        # Names of types narrow the answer, where they fit one request and the API takes them.
        self._names_types = len(self._by_type) <= feed.types_limit
        parents = {part.collection.feed.parent for part in self._parts if part.collection.feed is not None} - {()}
        self._read_event = _event_reader(feed, (feed.subject, *parents))
        self._full_at = float("-inf")
        state = decode(session.checkpoints.get(FEED), FeedState)
        self.state = state
        #: How far the feed was read, in this process.
        self._reached = state.seen_to if state else 0
        #: When it was that time there, and when an answer last told the time (monotonic).
        self._reached_at: float | None = None
        self._told_at = time.monotonic()
        #: Hints that came late, still to be followed, with the times of their events.
        self._late: dict[Hint, int] = {}
        #: Collections that this credential may not read by id, and since when (monotonic).
        self.denied: dict[CollectionSession, tuple[NotPermitted, float]] = {}
        self.due_at = time.monotonic()

    @property
    def has_cutoff(self) -> bool:
        """Whether the place from which the feed is followed was taken; no backfill request goes before it."""
        return self.state is not None or self._needs_no_cutoff

    def do_without_cutoff(self) -> None:
        """The feed cannot be read: sweeps find what changes."""
        self._needs_no_cutoff = True

    async def run(self) -> None:
        """One poll, to the end of what the feed has. Raises the errors of `domain.errors`."""
        if self.state is None:
            await self._take_cutoff()
        else:
            await self._poll(self.state)
        quiet = time.monotonic() - max((part.changed_at for part in self._parts), default=0.0)
        longest = min(part.collection.longest_interval.total_seconds() for part in self._parts)
        shortest = max(SHORTEST_INTERVAL_SECONDS, self._affordable_interval())
        interval = max(shortest, min(QUIET_SHARE * quiet, longest))
        for part in self._parts:
            part.poll_interval = round(interval, 1)
        self.due_at = time.monotonic() + (shortest if self._late else interval)

    def _affordable_interval(self) -> float:
        pace = self._session.quota.seconds_per_request
        if not any(part.phase == "backfill" for part in self._session.collections.values()):
            return pace / POLL_SHARE
        interval = pace / BACKFILL_POLL_SHARE
        return FRESH_SECONDS if interval / 2 <= FRESH_SECONDS < interval else interval

    async def _take_cutoff(self) -> None:
        served_at = _server_time(await self._fetch(since=None, cursor=None, size=1))
        await self._save(FeedState(cutoff=served_at, seen_to=served_at))
        self._reached, self._reached_at = served_at, time.monotonic()

    async def _poll(self, state: FeedState) -> None:
        now = time.monotonic()
        full = now - self._full_at >= FULL_OVERLAP_EVERY_SECONDS
        overlap = int(self._feed.late_arrival.total_seconds()) if full else QUICK_OVERLAP_SECONDS
        events, served_at = await self._read_all(self._since(state, overlap))
        if events is not None and self._goes_back_with(served_at):
            events, served_at = await self._read_all(self._since(state, overlap))
        if events is None:
            await self._answer_gap(served_at)
            return
        fresh: dict[Hint, list[Event]] = {}
        for event in sorted(events, key=lambda event: event.at):
            # What was said before the cutoff is in the backfill too: it does not hold up what is said from now on.
            is_fresh = event.at >= max(self._reached - QUICK_OVERLAP_SECONDS, min(state.cutoff, self._reached))
            hints = self._hints(event)
            for hint in hints:
                if is_fresh:
                    fresh.setdefault(hint, []).append(event)
                else:
                    self._late.setdefault(hint, event.at)
            if not (hints and is_fresh):
                self._known[event.event_id] = event.at
        await self._follow_fresh(fresh, served_at)
        # Late ones are rare, but after a restart they are all that the overlap holds: they must not stop what is fresh.
        some_late = dict(itertools.islice(self._late.items(), LATE_AT_ONCE))
        await self._follow(some_late, served_at)
        for hint in some_late:
            del self._late[hint]
        self._reached, self._reached_at = max(self._reached, served_at), self._told_at
        was_set_back = self._reached < state.seen_to - QUICK_OVERLAP_SECONDS
        if fresh or some_late or was_set_back or self._reached - state.seen_to > IDLE_SAVE_SECONDS:
            await self._save_reached(self._reached)
        if full:
            self._full_at = now
            horizon = self._reached - int(self._feed.late_arrival.total_seconds()) - 60
            self._known = {event_id: at for event_id, at in self._known.items() if at >= horizon}

    def _since(self, state: FeedState, overlap: int) -> int:
        cutoff = min(state.cutoff, self._reached)
        return max(0, self._reached - overlap, cutoff - QUICK_OVERLAP_SECONDS)

    def _goes_back_with(self, served_at: int) -> bool:
        """Whether the server's clock was set back since the last poll: what happened since then has earlier times than
        were asked for. Then the place goes back with it."""
        passed = self._told_at - self._reached_at if self._reached_at is not None else 0.0
        set_back = self._reached + passed - served_at
        if set_back <= QUICK_OVERLAP_SECONDS:
            return False
        self._reached = max(0, self._reached - math.ceil(set_back))
        return True

    def _hints(self, event: Event) -> list[Hint]:
        """What an event says of the collections of this sync."""
        hints = []
        for part in self._by_type.get(event.type, ()):
            assert part.collection.feed is not None
            path = part.collection.feed.parent or self._feed.subject
            if path in event.subjects:
                hints.append(Hint(part, event.subjects[path], is_parent=bool(part.collection.feed.parent)))
        return hints

    async def _follow_fresh(self, fresh: dict[Hint, list[Event]], served_at: int) -> None:
        """The oldest first. What was followed is not followed again, whatever happens to the rest."""
        hints = list(fresh)
        for start in range(0, len(hints), FOLLOWED_AT_ONCE):
            some = hints[start : start + FOLLOWED_AT_ONCE]
            await self._follow({hint: fresh[hint][0].at for hint in some}, served_at)
            self._known.update((event.event_id, event.at) for hint in some for event in fresh[hint])
            left = hints[start + FOLLOWED_AT_ONCE :]
            if left:
                await self._save_reached(fresh[left[0]][0].at)

    async def _follow(self, hints: dict[Hint, int], served_at: int) -> None:
        """Reads again, each record and each parent's list once however many events name it."""
        by_part: dict[CollectionSession, list[Hint]] = {}
        for hint in hints:
            by_part.setdefault(hint.part, []).append(hint)
        for part, of_part in by_part.items():
            _, denied_at = self.denied.get(part, (None, float("-inf")))
            if time.monotonic() - denied_at < DENIED_SECONDS:
                continue
            try:
                before = part.changed_at
                records = [hint.upstream_id for hint in of_part if not hint.is_parent]
                for start in range(0, len(records), BATCH):
                    await self._rereader.reread(part, records[start : start + BATCH], DetectedBy.feed)
                await self._walk_again(part, [hint.upstream_id for hint in of_part if hint.is_parent])
                if part.changed_at > before:
                    part.lag_seconds = float(max(0, served_at - min(hints[hint] for hint in of_part)))
            except NotPermitted as error:  # the other collections go on
                self.denied[part] = (error, time.monotonic())
            else:
                self.denied.pop(part, None)

    async def _walk_again(self, part: CollectionSession, parent_ids: list[str]) -> None:
        """A parent that is not known yet is walked as a whole when it is, and one that is gone takes its children."""
        if not parent_ids or part.lineage is None:
            return
        faults = self._faults.setdefault(part, PartitionFaults(self._session, part))
        for partition in (await self._session.partitions.find(part.lineage, parent_ids)).values():
            async with faults.of(partition):  # one that cannot be read does not hold up the feed for ever
                await self._rewalks[part.collection_id](partition, DetectedBy.feed)

    async def _read_all(self, since: int) -> tuple[list[Event] | None, int]:
        """New events since a time, in whatever order they come, and the server's time before the first page. None: the
        feed has forgotten some already, or there are so many that walking over everything is cheaper."""
        events: list[Event] = []
        cursor: str | None = None
        served_at: int | None = None
        while True:
            answer = await self._fetch(since=since, cursor=cursor)
            if served_at is None:
                served_at, self._told_at = _server_time(answer), time.monotonic()
                if served_at - self._reached > self._feed.retention.total_seconds() - _GAP_MARGIN_SECONDS:
                    return None, served_at
            envelope = split_envelope(answer.body, self._feed.pagination)
            page = [event for event in map(self._read_event, envelope.pieces) if event is not None]
            events += (event for event in page if event.event_id not in self._known)
            if not envelope.more:
                return events, served_at
            if len(events) > MOST_EVENTS:
                return None, served_at
            if not page or page[-1].event_id == cursor:
                raise ProviderBroken("answered with a page of events that leads nowhere")
            cursor = page[-1].event_id

    async def _fetch(self, *, since: int | None, cursor: str | None, size: int | None = None) -> Answer:
        while True:
            try:
                return await self._session.fetcher.fetch(
                    Request(path=self._feed.path, query=tuple(self._query(since, cursor, size))), Priority.poll
                )
            except RequestRejected:
                if not self._names_types:
                    raise
                self._names_types = False  # it takes no names of types: everything is read, and sorted out here

    def _query(self, since: int | None, cursor: str | None, size: int | None) -> Iterator[tuple[str, str]]:
        name, most = self._feed.pagination.size
        yield name, str(size or most)
        if since is not None:
            yield self._feed.since, str(since)
        if cursor is not None:
            yield self._feed.pagination.after, cursor
        if self._names_types:
            for event_type in self._by_type:
                yield self._feed.types, event_type

    async def _answer_gap(self, served_at: int) -> None:
        """The feed has forgotten what happened meanwhile: everything is walked again, joined by a new cutoff."""
        state = FeedState(cutoff=served_at, seen_to=served_at)
        checkpoints: dict[str, bytes | None] = {FEED: encode(state)}
        for part in self._parts:
            checkpoints[part.backfill_name] = encode(BackfillState())
            part.phase = "backfill"
        await self._session.save(checkpoints)
        self.state = state
        self._reached, self._reached_at = served_at, self._told_at
        self._late.clear()

    async def _save_reached(self, reached: int) -> None:
        """Only now: what was said up to here has been written (I1). Late hints that are still open are found again by
        whoever reads the overlap before this place."""
        assert self.state is not None
        if self._late:
            reached = min(reached, min(self._late.values()) + int(self._feed.late_arrival.total_seconds()))
        if reached > self.state.seen_to or self._reached < self.state.seen_to:
            await self._save(FeedState(cutoff=self.state.cutoff, seen_to=reached))

    async def _save(self, state: FeedState) -> None:
        await self._session.save({FEED: encode(state)})
        self.state = state


def _event_reader(feed: EventFeed, paths: tuple[tuple[str, ...], ...]) -> Any:
    """A function from an event's bytes to an Event with the ids at these paths; None for what is none."""
    decode_event = msgspec.json.Decoder(dict[str, Any]).decode

    def read(data: bytes) -> Event | None:
        try:
            try:
                event = decode_event(data)
            except (msgspec.DecodeError, RecursionError):
                event = decode_tolerantly(data)
            subjects = {}
            for path in paths:
                subject: Any = event
                for name in path:
                    subject = subject.get(name) if isinstance(subject, dict) else None
                if isinstance(subject, str | int):
                    subjects[path] = str(subject)
            return Event(str(event[feed.id_field]), int(event[feed.time_field]), str(event[feed.type_field]), subjects)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None

    return read


def _server_time(answer: Answer) -> int:
    """Unix seconds by the server's own clock; by ours where it does not tell."""
    return server_time(answer) or int(datetime.now(UTC).timestamp())
