"""Who should hold how much: leases on credentials are spread evenly over the workers that live."""

import math
from collections.abc import Iterable
from typing import NamedTuple


class Balance(NamedTuple):
    """What a worker should do about its share: take up to so many free credentials, or give up so many of its own."""

    take: int
    give: int


def balance(held: int, *, others: Iterable[int], free: int) -> Balance:
    """A worker's way to its fair share. `held`: what it holds; `others`: what each other living worker holds; `free`:
    what nobody holds.

    Nobody takes more than the share rounded up, and only who has more than that gives: then another has less, so the
    two meet and nothing moves again. A credential moves only because a worker came, went, or holds too much.
    """
    counts = [held, *others]
    most = math.ceil((sum(counts) + free) / len(counts))
    return Balance(take=max(0, min(free, most - held)), give=max(0, held - most))
