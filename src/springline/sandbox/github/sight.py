"""What reads see: the data, less what faults hide."""

from dataclasses import dataclass
from typing import cast

from springline.sandbox.common.faults import (
    ActiveFault,
    HiddenRowsFault,
    LateRowsFault,
    StalePageFault,
)
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World


@dataclass(frozen=True, slots=True)
class Sight:
    """A world, and what of it is not shown."""

    world: World
    hidden: frozenset[str] = frozenset()
    """Ids, or the hashes and names of what is known by those."""
    horizon: float | None = None
    """What came to be after this (Unix seconds) is not shown yet."""

    def hides(self, row: Row) -> bool:
        if self.horizon is not None and row["seen_at"] > self.horizon:
            return True
        return bool(self.hidden) and not self.hidden.isdisjoint({str(row["id"]), row.get("sha"), row.get("name")})

    @property
    def is_clear(self) -> bool:
        return not self.hidden and self.horizon is None


def sight_under(world: World, fired: list[ActiveFault]) -> Sight:
    """What reads see under these faults."""
    hidden: set[str] = set()
    horizon: float | None = None
    for active in fired:
        fault = active.fault
        if isinstance(fault, StalePageFault):
            world = cast("World", active.picture)
        elif isinstance(fault, HiddenRowsFault):
            hidden.update(fault.ids)
        elif isinstance(fault, LateRowsFault):
            bound = world.clock.now() - fault.seconds
            horizon = bound if horizon is None else min(horizon, bound)
    return Sight(world, frozenset(hidden), horizon)
