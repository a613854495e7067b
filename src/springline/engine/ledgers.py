"""Who may start next, where several syncs and other calls draw on the same limits.

A ledger gives permits: each draws on all of its limits at once or on none. Calls that someone waits for go first; of
the others each class has a small share; within a class the syncs take turns.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from springline.domain.quotas import Draw, Limit, Start
from springline.domain.windows import NEVER


class Priority(IntEnum):
    """Who goes first when there is not enough for all. Calls that someone waits for always do; of the others each has
    a small share, or a sync that changes all the time would never be backfilled, nor swept."""

    waiting = 0  # someone waits for the answer
    urgent = 1  # a record is known to have changed
    poll = 2
    backfill = 3
    sweep = 4

    @property
    def is_bulk(self) -> bool:
        """Whether it keeps an even pace, so that it cannot spend a window before something urgent comes."""
        return self >= Priority.backfill


#: So many permits go to those who are more urgent before it is a waiting one's turn.
_PATIENCE: Final = {Priority.urgent: 0, Priority.poll: 4, Priority.backfill: 4, Priority.sweep: 20}
#: While bulk work waits, polls go before it up to a tenth: one for nine of the others. Beyond that they wait behind it.
_POLLS_PER_OTHER: Final = 1 / 9
_MOST_CREDIT: Final = 2.0

#: Called with a limit of which starts must be recorded before a request of this cost may begin.
WantBlock = Callable[[Limit, int], None]


class _Ticket(NamedTuple):
    """Somebody who waits. `party` takes turns with others of its class; tickets of one party that draw on the same
    limits are served as they came."""

    priority: Priority
    party: Hashable
    draws: tuple[Draw, ...]
    granted: "asyncio.Future[Start]"


_Lanes = dict[tuple[Draw, ...], deque[_Ticket]]


class Ledger:
    """Gives permits, on the monotonic time of `clock`."""

    def __init__(self, *, clock: Callable[[], float], want_block: WantBlock | None = None) -> None:
        self.clock = clock
        self._want_block = want_block
        self._waiting: dict[Priority, dict[Hashable, _Lanes]] = {priority: {} for priority in Priority}
        self._passed_over = dict.fromkeys(_PATIENCE, 0)
        self._poll_credit = 1.0
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, priority: Priority, *, party: Hashable, draws: tuple[Draw, ...]) -> Start:
        """Waits for its turn. Whoever gets a start must call `end` with it, whatever happens."""
        granted: asyncio.Future[Start] = asyncio.get_running_loop().create_future()
        ticket = _Ticket(priority, party, draws, granted)
        self._waiting[priority].setdefault(party, {}).setdefault(draws, deque()).append(ticket)
        self.dispatch()
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.end(granted.result())
            else:
                self._drop(ticket)
            raise

    def write(self, start: Start, at: float) -> None:
        """The request is being written now: from here on its windows count."""
        start.write(at)
        self._dispatch_if_waited_for()

    def end(self, start: Start) -> None:
        """The request has ended."""
        start.end(self.clock())
        self._dispatch_if_waited_for()

    def adopt(self, draws: tuple[Draw, ...], priority: Priority) -> Start:
        """A request that is under way already, with somebody else's permit: it counts, whether there is room or not."""
        return Start(draws, now=self.clock(), purpose=int(priority))

    def is_waited_for(self, party: Hashable | None = None) -> bool:
        """Whether requests (of this party) are waiting for a permit now."""
        return any((parties if party is None else party in parties) for parties in self._waiting.values())

    def count_waiting(self, limit: Limit) -> dict[Priority, int]:
        """How many requests that draw on it wait, by priority."""
        counts: dict[Priority, int] = {}
        for ticket in self._tickets():
            if any(draw.limit is limit for draw in ticket.draws):
                counts[ticket.priority] = counts.get(ticket.priority, 0) + 1
        return counts

    def refuse_all(self, error: Exception, *, parties: Callable[[Hashable], bool]) -> None:
        """Nobody of these waits any longer: they get the error."""
        for ticket in list(self._tickets()):
            if parties(ticket.party) and not ticket.granted.done():
                self._drop(ticket)
                ticket.granted.set_exception(error)

    def dispatch(self) -> None:
        """Gives permits to those who wait, and sets the timer for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self.clock()
        while (at := self._give_one(now)) is None:
            pass
        if at != NEVER:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, at - now), self.dispatch)

    def _dispatch_if_waited_for(self) -> None:
        if self.is_waited_for():
            self.dispatch()

    def _give_one(self, now: float) -> float | None:
        """Gives the next permit that can be given now. Else when it is worth to look again."""
        look_at = NEVER
        known: dict[tuple[Limit, bool, int], float] = {}
        saved_up: set[Limit] = set()  # those that a dearer request waits for: a cheaper one must not take each unit
        for priority in self._order():
            # What was passed over too often takes its small share, whatever its pace.
            bulk = self._keeps_pace(priority) and self._passed_over[priority] < _PATIENCE[priority]
            for party, lanes in self._waiting[priority].items():
                for draws, tickets in lanes.items():
                    while tickets and tickets[0].granted.done():  # given up by whoever waited
                        tickets.popleft()
                    if not tickets:
                        continue
                    at = now
                    for draw in draws:
                        limit, cost = draw.limit, draw.cost
                        free_at = known.get((limit, bulk, cost))
                        if free_at is None:
                            free_at = known[limit, bulk, cost] = limit.free_at(now, bulk=bulk, cost=cost)
                        if free_at > now and self._want_block is not None and limit.lacks_block(now, cost):
                            self._want_block(limit, cost)
                        if cost > 1 and limit.free_at(now, bulk=False, cost=cost) > now:
                            saved_up.add(limit)
                        elif cost == 1 and limit in saved_up:
                            free_at = NEVER
                        at = max(at, free_at)
                    if at <= now:
                        self._give(priority, party, draws, now)
                        return None
                    look_at = min(look_at, at)
        self._sweep_empty()
        return look_at

    def _order(self) -> Sequence[Priority]:
        """Whose turn it is: the most urgent, but first one that was passed over too often."""
        classes = [priority for priority, parties in self._waiting.items() if parties]
        if len(classes) < 2 or classes[0] is Priority.waiting:
            return classes
        if Priority.poll in classes and self._keeps_pace(Priority.poll):
            place = classes.index(Priority.poll)
            classes[place : place + 2] = [Priority.backfill, Priority.poll]
        overdue = next((each for each in classes[1:] if self._passed_over[each] >= _PATIENCE[each]), None)
        if overdue is not None:
            classes.remove(overdue)
            classes.insert(0, overdue)
        return classes

    def _give(self, priority: Priority, party: Hashable, draws: tuple[Draw, ...], now: float) -> None:
        parties = self._waiting[priority]
        lanes = parties.pop(party)
        tickets = lanes.pop(draws)
        ticket = tickets.popleft()
        # It is the others' turn next.
        if tickets:
            lanes[draws] = tickets
        if lanes:
            parties[party] = lanes
        for other in self._passed_over:
            if other > priority and self._waiting[other]:
                self._passed_over[other] += 1
        if priority in self._passed_over:
            self._passed_over[priority] = 0
        if priority is Priority.poll and self._is_bulk_waiting():
            self._poll_credit = max(0.0, self._poll_credit - 1.0)
            self._passed_over[Priority.poll] = 0
        else:
            self._poll_credit = min(_MOST_CREDIT, self._poll_credit + _POLLS_PER_OTHER)
            if priority is Priority.backfill and self._waiting[Priority.poll]:
                self._passed_over[Priority.poll] += 2  # behind every second page, not every fourth: changes wait for it
        ticket.granted.set_result(Start(draws, now=now, purpose=int(priority)))

    def _keeps_pace(self, priority: Priority) -> bool:
        """Bulk work does, and so do polls beyond their tenth while pages wait."""
        return priority.is_bulk or (
            priority is Priority.poll and self._poll_credit < 1.0 and bool(self._waiting[Priority.backfill])
        )

    def _is_bulk_waiting(self) -> bool:
        return bool(self._waiting[Priority.backfill] or self._waiting[Priority.sweep])

    def _drop(self, ticket: _Ticket) -> None:
        """It waits no longer."""
        parties = self._waiting[ticket.priority]
        lanes = parties.get(ticket.party, {})
        tickets = lanes.get(ticket.draws)
        if tickets is None or ticket not in tickets:
            return
        tickets.remove(ticket)
        if not tickets:
            del lanes[ticket.draws]
        if not lanes:
            del parties[ticket.party]

    def _sweep_empty(self) -> None:
        for parties in self._waiting.values():
            for party, lanes in list(parties.items()):
                for draws in [draws for draws, tickets in lanes.items() if not tickets]:
                    del lanes[draws]
                if not lanes:
                    del parties[party]

    def _tickets(self) -> Iterable[_Ticket]:
        for parties in self._waiting.values():
            for lanes in parties.values():
                for tickets in lanes.values():
                    yield from tickets
