"""Faults: which requests something goes wrong with, and what."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import Annotated, Literal

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests: all conditions must hold. Paths and query values may hold `*`.

    Of the requests that match by method, path, query and account: `nth` takes only that one (from 1), `every`
    each so many, `probability` a seeded share; `times` bounds how often the fault happens at all.
    """

    path: str = "*"
    method: str | None = None
    query: dict[str, str] = {}
    account: str | None = None
    nth: Count | None = None
    every: Count | None = None
    probability: Share | None = None
    times: Count | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What goes wrong. With `applied` the request is carried out first and only its answer suffers."""

    match: Match = Match()


class StatusFault(Fault, frozen=True, kw_only=True, tag="status"):
    """An error status, with the provider's body for it unless `body` is given. `retry_after` goes out as it stands."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 500
    body: str | None = None
    content_type: str = "application/json"
    headers: dict[str, str] = {}
    retry_after: str | None = None
    applied: bool = False


class TimeoutFault(Fault, frozen=True, kw_only=True, tag="timeout"):
    """No answer: the connection stays open for `seconds` (default: until released), then breaks."""

    seconds: float | None = None
    applied: bool = False


class ResetFault(Fault, frozen=True, kw_only=True, tag="reset"):
    """The connection breaks without an answer."""

    applied: bool = False


class HtmlFault(Fault, frozen=True, kw_only=True, tag="html"):
    """A web page instead of JSON, as a proxy in between sends it."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 200
    applied: bool = False


class CutFault(Fault, frozen=True, kw_only=True, tag="cut"):
    """The body ends after a share of its announced length and the connection breaks."""

    share: Share = 0.5


class HalfJsonFault(Fault, frozen=True, kw_only=True, tag="half_json"):
    """The body is a share of the real one, announced as the whole."""

    share: Share = 0.5


class LatencyFault(Fault, frozen=True, kw_only=True, tag="latency"):
    """The request waits, then is carried out: the answer shows the state of then."""

    ms: Annotated[float, msgspec.Meta(ge=0)]


class LatePageFault(Fault, frozen=True, kw_only=True, tag="late_page"):
    """The request is carried out at once, its answer waits `ms` (default: until released)."""

    ms: Annotated[float, msgspec.Meta(ge=0)] | None = None


class StalePageFault(Fault, frozen=True, kw_only=True, tag="stale_page"):
    """Reads show the state of the moment when the fault was made."""


class LateRowsFault(Fault, frozen=True, kw_only=True, tag="late_rows"):
    """Reads do not show what was created less than `seconds` ago by the sandbox's clock."""

    seconds: Annotated[float, msgspec.Meta(gt=0)]


class HiddenRowsFault(Fault, frozen=True, kw_only=True, tag="hidden_rows"):
    """Reads do not show these ids."""

    ids: list[str]


class EmptyPageFault(Fault, frozen=True, kw_only=True, tag="empty_page"):
    """Lists hold nothing."""

    has_more: bool = False


class EndlessPageFault(Fault, frozen=True, kw_only=True, tag="endless_page"):
    """Lists give their first page whatever the cursor, and always promise more."""


class BadRecordFault(Fault, frozen=True, kw_only=True, tag="bad_record"):
    """One record of a list (`position` from 0), or the object of a read by id, is broken.

    `text` puts this JSON text in its place; else `defect` says what is wrong with it.
    """

    position: Annotated[int, msgspec.Meta(ge=0)] = 0
    defect: Literal[
        "no_id", "null_id", "number_id", "other_object", "null", "string", "lone_surrogate", "invalid_utf8", "deep"
    ] = "no_id"
    text: str | None = None


AnyFault = (
    StatusFault
    | TimeoutFault
    | ResetFault
    | HtmlFault
    | CutFault
    | HalfJsonFault
    | LatencyFault
    | LatePageFault
    | StalePageFault
    | LateRowsFault
    | HiddenRowsFault
    | EmptyPageFault
    | EndlessPageFault
    | BadRecordFault
)


@dataclass(slots=True)
class ActiveFault:
    """A fault in force, and what it has done so far."""

    id: str
    fault: Fault
    picture: object | None = None
    """For a stale page: the sandbox's data as it was."""
    matched: int = 0
    fired: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    holding: int = 0
    """Requests that wait to be released."""

    async def hold(self, seconds: float | None) -> None:
        """Wait until released, or at most so long."""
        self.holding += 1
        try:
            await asyncio.wait_for(self.released.wait(), seconds)
        except TimeoutError:
            return
        finally:
            self.holding -= 1

    def release(self) -> None:
        """Whatever waits goes on; what comes later waits again."""
        self.released.set()
        self.released = asyncio.Event()

    async def fired_times(self, count: int) -> None:
        while self.fired < count:
            await self.changed.wait()


class Faults:
    """The faults in force, in the order in which they were made."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._made = 0
        self.active: dict[str, ActiveFault] = {}

    def add(self, fault: Fault, *, picture: object | None) -> ActiveFault:
        self._made += 1
        active = ActiveFault(f"fault_{self._made}", fault, picture)
        self.active[active.id] = active
        return active

    def remove(self, fault_id: str) -> None:
        """End a fault; requests that it holds go on. Raises KeyError."""
        self.active.pop(fault_id).released.set()

    def clear(self) -> None:
        for fault_id in list(self.active):
            self.remove(fault_id)

    def fire(self, method: str, *paths: str, query: Mapping[str, str], account: str | None) -> list[ActiveFault]:
        """The faults that happen to this request, which may be known by several paths; counts them."""
        return [
            active
            for active in self.active.values()
            if _concerns(active.fault.match, method, paths, query, account) and self._happens(active)
        ]

    def _happens(self, active: ActiveFault) -> bool:
        match = active.fault.match
        active.matched += 1
        if match.times is not None and active.fired >= match.times:
            return False
        if match.nth is not None and active.matched != match.nth:
            return False
        if match.every is not None and active.matched % match.every:
            return False
        if match.probability is not None and self._rng.random() >= match.probability:
            return False
        active.fired += 1
        active.changed.set()
        active.changed = asyncio.Event()
        return True


def _concerns(match: Match, method: str, paths: tuple[str, ...], query: Mapping[str, str], account: str | None) -> bool:
    if match.method is not None and match.method.upper() != method:
        return False
    if not any(fnmatchcase(path, match.path) for path in paths):
        return False
    if match.account is not None and match.account != account:
        return False
    return all(name in query and fnmatchcase(query[name], wanted) for name, wanted in match.query.items())
