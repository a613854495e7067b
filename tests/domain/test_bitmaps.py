"""The set of records that a sweep has seen."""

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from springline.domain.bitmaps import RecordBitmap

NUMBERS = st.one_of(
    st.integers(0, 200),
    st.integers(0, 2**62 - 1),
    st.builds(lambda piece, off: piece * 32_768 + off, st.integers(0, 3), st.integers(-1, 1)).filter(lambda n: n >= 0),
)


@settings(deadline=None)
@given(st.lists(NUMBERS, max_size=60), st.lists(NUMBERS, max_size=60))
def test_it_is_a_set(added: list[int], asked: list[int]) -> None:
    bitmap = RecordBitmap()
    for number in added:
        bitmap.add(number)
    assert all(number in bitmap for number in added)
    assert {number for number in asked if number in bitmap} == set(asked) & set(added)


@settings(deadline=None)
@given(st.lists(NUMBERS, max_size=60), st.lists(NUMBERS, max_size=60), st.integers(0, 200))
def test_what_was_saved_is_restored(first: list[int], second: list[int], together: int) -> None:
    bitmap = RecordBitmap()
    saved: dict[int, bytes] = {}
    for numbers in (first, [*second, *range(together)]):
        for number in numbers:
            bitmap.add(number)
        saved.update(bitmap.unsaved())
        bitmap.note_saved()
    assert bitmap.unsaved() == {}
    restored = RecordBitmap()
    restored.restore(saved)
    for number in (*first, *second, *range(together), 10**9, 201, 32_768):
        assert (number in restored) == (number in bitmap)
    restored.add(7)
    assert set(restored.unsaved()) == {0}


def test_a_few_that_lie_far_apart_take_little() -> None:
    """The records of one sync among those of many."""
    tracemalloc.start()
    try:
        bitmap = RecordBitmap()
        for number in range(10_000):
            bitmap.add(number * 10_000)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 3_000_000


def test_neighbours_share_memory() -> None:
    """A million numbers that lie together: a bit each, and little more."""
    tracemalloc.start()
    try:
        bitmap = RecordBitmap()
        for number in range(10_000_000, 11_000_000):
            bitmap.add(number)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 200_000
    assert 9_999_999 not in bitmap
    assert 11_000_000 not in bitmap
