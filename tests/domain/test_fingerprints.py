"""Fingerprints: blind to the order of keys and to white space, and to nothing else."""

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support.json_texts import SPACES, STRINGS, VALUES, documents, nested

from springline.domain.fingerprints import content_print, raw_print


def spelt(text: str) -> Any:
    """What a document says, with every number as it is spelt; objects as their pairs, sorted by key, in their order."""

    def pairs(found: list[tuple[str, Any]]) -> Any:
        return ("object", sorted(found, key=lambda pair: pair[0]))

    def number(spelling: str) -> Any:
        return ("number", spelling)

    return json.loads(text, parse_int=number, parse_float=number, object_pairs_hook=pairs)


@st.composite
def laid_out_anew(draw: st.DrawFn) -> tuple[str, str]:
    """The same object twice: keys in another order, other white space."""
    keys = draw(st.lists(STRINGS, unique_by=json.loads, max_size=5))
    fields = [(key, draw(VALUES)) for key in keys]
    again = draw(st.permutations(fields))
    space = draw(SPACES)
    texts = [f"{{{','.join(f'{key}:{value}' for key, value in fields)}}}"]
    texts.append(f"{{{space}{(space + ',').join(f'{key}{space}: {value}' for key, value in again)}{space}}}")
    return texts[0], texts[1]


@settings(deadline=None)
@given(laid_out_anew())
def test_blind_to_order_and_white_space(texts: tuple[str, str]) -> None:
    first, second = (text.encode() for text in texts)
    assert content_print(first) == content_print(second)
    nested_first, nested_second = (b'{"a":[' + text + b"]}" for text in (first, second))
    assert content_print(nested_first) == content_print(nested_second)


@settings(deadline=None)
@given(documents("a"), documents("a"))
def test_equal_prints_are_equal_content(first: str, second: str) -> None:
    assert (content_print(first.encode()) == content_print(second.encode())) == (spelt(first) == spelt(second))


@settings(deadline=None)
@given(documents("a"), st.data())
def test_one_character_makes_another_print(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    other = text[:place] + data.draw(st.sampled_from('0123456789aeE.-"[]{}:, tfn')) + text[place + 1 :]
    assume(other != text)
    assert raw_print(text.encode()) != raw_print(other.encode())
    try:
        same = spelt(other) == spelt(text)
    except ValueError:
        return
    assert (content_print(text.encode()) == content_print(other.encode())) == same


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('{"a":1}', '{"a":1.0}'),
        ('{"a":1.1}', '{"a":1.10}'),
        ('{"a":100}', '{"a":1e2}'),
        ('{"a":1e2}', '{"a":1E2}'),
        ('{"a":0}', '{"a":-0}'),
        ('{"a":1}', '{"a":"1"}'),
        ('{"a":true}', '{"a":"true"}'),
        ('{"a":true}', '{"a":1}'),
        ('{"a":null}', '{"a":"null"}'),
        ('{"a":null}', "{}"),
        ('{"a":[]}', '{"a":{}}'),
        ('{"a":[1,2]}', '{"a":[2,1]}'),
        ('{"a":[["b",1]]}', '{"a":{"b":1}}'),
        ('{"a":9007199254740992}', '{"a":9007199254740993}'),
        ('{"a":1e400}', '{"a":2e400}'),
        ('{"a":1e-400}', '{"a":0.0}'),
        ('{"a":"é"}', '{"a":"e\u0301"}'),
        (r'{"a":"\ud800"}', r'{"a":"\ud801"}'),
        (r'{"a":"\ud800"}', r'{"a":"\\ud800"}'),
        ('{"a":1,"a":2}', '{"a":3,"a":2}'),
        ('{"a":1,"a":2}', '{"a":2,"a":1}'),
        ('{"a":1,"b":2}', '{"a":2,"b":1}'),
    ],
)
def test_different_content_has_different_prints(first: str, second: str) -> None:
    assert content_print(first.encode()) != content_print(second.encode())


def test_an_escape_that_says_the_same_is_no_change() -> None:
    """The text that an escape stands for is the content; how it is escaped is layout."""
    for text in (r'{"a":"/é"}', r'{"a":"\/é"}', r'{"a":"\/\u00e9"}', r'{"a":"\u002f\u00E9"}'):
        assert content_print(text.encode()) == content_print('{"a":"/é"}'.encode())


@pytest.mark.parametrize("levels", [500, 512])
def test_depth_that_is_let_through_is_blind_to_layout_too(levels: int) -> None:
    text = nested("a", levels)
    assert content_print(text.encode()) == content_print(text.replace(":", " : ").encode())


def test_what_cannot_be_decoded_has_its_raw_print() -> None:
    for data in (b"", b"{", b"nonsense", b"[" * 100_000):
        assert content_print(data) == raw_print(data)


@given(st.binary(max_size=64))
def test_prints_fit_a_bigint(data: bytes) -> None:
    assert -(2**63) <= raw_print(data) < 2**63
