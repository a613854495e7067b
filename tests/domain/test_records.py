"""Public ids of records: made of two numbers, and of nothing else."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from springline.domain.records import parse_record_id, record_id, record_id_prefix, record_id_suffix

STREAM_NOS = st.integers(1, 2**31 - 1)
RECORD_NOS = st.integers(1, 2**62 - 1)


@given(STREAM_NOS, RECORD_NOS)
def test_an_id_says_where_its_record_is(stream_no: int, record_no: int) -> None:
    made = record_id(stream_no, record_no)
    assert (made.version, made.variant) == (8, uuid.RFC_4122)
    assert parse_record_id(made) == (stream_no, record_no)
    assert parse_record_id(uuid.UUID(str(made).upper())) == (stream_no, record_no)
    assert str(made) == f"{record_id_prefix(stream_no)}{record_id_suffix(record_no)}"


@given(STREAM_NOS, RECORD_NOS, RECORD_NOS)
def test_ids_differ_where_records_do(stream_no: int, one: int, other: int) -> None:
    assert (record_id(stream_no, one) == record_id(stream_no, other)) == (one == other)


@given(st.uuids())
def test_other_ids_are_refused_or_mean_themselves(other: uuid.UUID) -> None:
    """No second spelling of a record's id is taken for it."""
    parsed = parse_record_id(other)
    assert parsed is None or record_id(*parsed) == other


@given(st.integers(0, 2**128 - 1))
def test_any_number_is_refused_or_means_itself(number: int) -> None:
    parsed = parse_record_id(uuid.UUID(int=number))
    assert parsed is None or record_id(*parsed).int == number


@given(STREAM_NOS, RECORD_NOS, st.integers(64, 79))
def test_every_fixed_bit_counts(stream_no: int, record_no: int, bit: int) -> None:
    assert parse_record_id(uuid.UUID(int=record_id(stream_no, record_no).int ^ (1 << bit))) is None


@pytest.mark.parametrize("version", [1, 3, 4, 5, 7])
def test_ids_of_other_kinds_are_refused(version: int) -> None:
    value = record_id(1, 1).int & ~(0xF << 76) | version << 76
    assert parse_record_id(uuid.UUID(int=value)) is None


def test_a_stream_number_that_no_stream_has_is_refused() -> None:
    assert parse_record_id(record_id(2**31, 1)) is None
