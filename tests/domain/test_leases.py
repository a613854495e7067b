"""The fair share: who takes and who gives, until everybody has as much as the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from springline.domain.leases import balance


@pytest.mark.parametrize(
    ("held", "others", "free", "take", "give"),
    [
        (0, [], 0, 0, 0),
        (0, [], 200, 200, 0),
        (200, [], 5, 5, 0),
        (0, [0], 200, 100, 0),
        (0, [0, 0], 200, 67, 0),
        (200, [0], 0, 0, 100),  # a worker has come
        (67, [66], 67, 33, 0),  # one has gone
        (101, [100], 0, 0, 0),  # the odd one stays where it is
        (2, [0, 0], 0, 0, 1),
        (1, [0], 0, 0, 0),
        (100, [100], 1, 1, 0),
        (101, [100], 1, 0, 0),  # it is the other's
    ],
)
def test_examples(held: int, others: list[int], free: int, take: int, give: int) -> None:
    assert balance(held, others=others, free=free) == (take, give)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=12), st.integers(0, 500))
def test_workers_in_turn_come_to_rest_with_equal_shares(held: list[int], free: int) -> None:
    begun, moved = list(held), 0
    total = sum(held) + free
    for _ in range(3):
        for place in range(len(held)):
            share = balance(held[place], others=held[:place] + held[place + 1 :], free=free)
            assert not (share.take and share.give)
            held[place] += share.take - share.give
            free += share.give - share.take
            moved += share.give
    assert free == 0
    assert sum(held) == total
    most = -(-total // len(held))
    assert max(held) <= most
    # No more moved than had to: what each had beyond its share.
    assert moved == sum(max(0, had - most) for had in begun)


def test_a_rolling_restart_moves_little_more_than_it_must() -> None:
    """Each worker's credentials go to those that lack some; nobody hands over while workers come and go."""
    held, moved = [250, 250, 250, 250], 0
    for place in range(4):
        free, held[place] = held[place], 0
        for other in range(4):  # while the one starts anew, the others take what it left
            if other != place:
                others = [held[each] for each in range(4) if each not in (place, other)]
                take = balance(held[other], others=others, free=free).take
                held[other] += take
                free -= take
                moved += take
        assert free == 0
    while True:  # then it is quiet
        shares = [balance(held[place], others=held[:place] + held[place + 1 :], free=free) for place in range(4)]
        if not any(share.give or share.take for share in shares):
            break
        for place, share in enumerate(shares):
            held[place] += min(share.take, free) - share.give
            free += share.give - min(share.take, free)
            moved += share.give
    assert held == [250] * 4
    assert moved <= 1.5 * 1000
