"""The rules of configuration that need no database."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from springline.domain.consumers import StartAt, narrowed_filter, parse_deliver_policy
from springline.domain.credentials import is_known, keyed_account, known_account, same_account
from springline.domain.durations import parse_duration
from springline.domain.health import PartHealth, sync_health
from springline.domain.ids import new_id, parse_id, uuid7
from springline.domain.secrets import is_mask
from springline.domain.syncs import parse_frequency

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_ids_are_of_version_7_and_hold_their_time(milliseconds: int, chance: bytes) -> None:
    made = uuid7(milliseconds, chance)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == milliseconds
    assert parse_id(str(made)) == parse_id(str(made).upper()) == made
    assert (made < uuid7(milliseconds + 1, b"\0" * 10)) or milliseconds == 2**48 - 1


def test_new_ids_differ_and_grow() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000


@pytest.mark.parametrize("text", ["", "x" * 36, "{%s}" % uuid.UUID(int=1), uuid.UUID(int=1).hex, "0" * 36])  # noqa: UP031
def test_what_is_no_id(text: str) -> None:
    assert parse_id(text) is None


def test_durations() -> None:
    assert parse_duration("90m") == timedelta(minutes=90)
    assert parse_duration("4h") == timedelta(hours=4)
    assert parse_duration("3650d") == timedelta(days=3650)
    for text in ("", "0m", "01m", "4", "4 h", "4H", "-4h", "3651d", "4h\n", "٤h", "1w", "1h30m"):
        assert parse_duration(text) is None, text


def test_frequencies() -> None:
    assert parse_frequency("continuous") is None
    assert parse_frequency("4h") == timedelta(hours=4)
    with pytest.raises(ValueError, match="must be `continuous`"):
        parse_frequency("often")


def test_where_a_consumer_starts() -> None:
    assert parse_deliver_policy("all", NOW) == StartAt(place="beginning")
    assert parse_deliver_policy("new", NOW) == StartAt(place="end")
    assert parse_deliver_policy("last", NOW) == StartAt(place="newest")
    assert parse_deliver_policy("1h", NOW) == StartAt(place="time", time=NOW - timedelta(hours=1))
    early = datetime(2026, 1, 31, 11, tzinfo=UTC)
    for text in ("2026-01-31T11:00:00Z", "2026-01-31T12:00:00+01:00", "2026-01-31 11:00:00.000Z"):
        assert parse_deliver_policy(text, NOW) == StartAt(place="time", time=early)
    for text in ("", "ALL", "2026-01-31", "2026-01-31T11:00:00", "5", "2999-01-01T00:00:00Z"):
        with pytest.raises(ValueError, match=r"must be `all`|in the future"):
            parse_deliver_policy(text, NOW)


@pytest.mark.parametrize(
    ("filters", "narrowed"),
    [
        ({}, None),
        ({"provider": "*", "sync_id": "*", "collection_id": "*"}, None),
        ({"provider": ["stripe", "*"]}, None),
        ({"provider": "stripe"}, {"provider": ["stripe"]}),
        ({"provider": ["a", "b"], "collection_id": "c"}, {"provider": ["a", "b"], "collection_id": ["c"]}),
    ],
)
def test_only_what_restricts_is_kept(filters: dict[str, Any], narrowed: dict[str, list[str]] | None) -> None:
    assert narrowed_filter(filters) == narrowed


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1) | st.none())
def test_accounts_are_told_apart(one: str, two: str, distinction: str | None) -> None:
    first = known_account(one, data_set=None, distinction=distinction)
    second = known_account(two, data_set=None, distinction=None)
    assert same_account(first, second) == (one == two)
    assert is_known(first) == (not first.startswith("key:"))


def test_a_key_of_nobody_may_take_any_place() -> None:
    known = known_account("acct_1", data_set="test", distinction=None)
    assert known == "acct_1/test"
    assert same_account(keyed_account("a"), known)
    assert same_account(known, keyed_account("a"))
    assert not same_account(known, known_account("acct_1", data_set="live", distinction=None))


def test_masks() -> None:
    assert [is_mask(text) for text in ("*", "****", "", "**a", "* *", "**\n")] == [True, True] + [False] * 4


@pytest.mark.parametrize(
    ("credential", "provider", "collection", "status"),
    [("ok", "ok", "ok", "healthy"), ("ok", "warn", "ok", "warn"), ("ok", "warn", "error", "error")],
)
def test_health_is_the_worst_of_its_parts(credential: Any, provider: Any, collection: Any, status: str) -> None:
    health = sync_health(
        uuid.UUID(int=1),
        credential=PartHealth(status=credential),
        provider=PartHealth(status=provider),
        collections={"a": PartHealth(), "b": PartHealth(status=collection)},
    )
    assert health.status == status
