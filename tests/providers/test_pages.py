"""Pages are cut, never repaired: the bytes of every record come out as they went in (I6)."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.json_texts import SPACES, VALUES, documents, nested

from springline.domain.errors import ProviderBroken
from springline.domain.records import UPSTREAM_ID_BYTES, PageRecord, RejectedRecord
from springline.providers import pages
from springline.providers.access import Answer
from springline.providers.pages import PageParser, ParsedPage, split_envelope
from springline.providers.record_readers import NESTING_LIMIT
from springline.providers.vocabulary import Collection, CursorById, Detection, FeedMembership, ListEndpoint, ReadById

PAGINATION = CursorById(after="starting_after", size=("limit", 100))
COLLECTION = Collection(
    name="thing",
    description="Anything.",
    listing=ListEndpoint(path="/things", pagination=PAGINATION),
    read=ReadById(path="/things/{id}", gone_field="deleted"),
    created="created",
    updated="updated",
    version="version",
    feed=FeedMembership(types=("thing.updated",)),
    detection=Detection(inserts=("feed",), updates=("feed",), deletes=("feed",)),
)
PARSER = PageParser(COLLECTION, COLLECTION.listing)


def parse(body: bytes) -> ParsedPage:
    return PARSER.parse_page(Answer(status=200, headers={}, body=body))


@st.composite
def envelopes(draw: st.DrawFn, *, most: int = 5, more: str = "false") -> tuple[list[str], str]:
    """The texts of some records, and a list that holds them."""
    texts = [draw(documents(f"t_{number}")) for number in range(draw(st.integers(0, most)))]
    spaces = draw(st.tuples(SPACES, SPACES, SPACES))
    records = f"[{spaces[0]}{(spaces[1] + ',' + spaces[2]).join(texts)}{spaces[1]}]"
    fields = [("data", records), ("has_more", more)]
    fields += [(f"other {number}", draw(VALUES)) for number in range(draw(st.integers(0, 2)))]
    fields = draw(st.permutations(fields))
    return texts, "{" + ",".join(f'{spaces[2]}"{name}"{spaces[0]}:{value}' for name, value in fields) + "}"


def page_of(*texts: str | bytes, more: bool = False) -> bytes:
    pieces = [text.encode("utf-8") if isinstance(text, str) else text for text in texts]
    return b'{"object":"list","data":[%s],"has_more":%s}' % (b",".join(pieces), b"true" if more else b"false")


@settings(deadline=None)
@given(envelopes())
def test_records_come_out_byte_for_byte(drawn: tuple[list[str], str]) -> None:
    texts, body = drawn
    page = parse(body.encode())
    assert [record.data.decode() for record in page.records] == texts
    assert [record.upstream_id for record in page.records] == [f"t_{number}" for number in range(len(texts))]
    assert page.rejected == []


@settings(deadline=None)
@given(st.one_of(envelopes(), envelopes(more="true")))
def test_the_tolerant_way_cuts_as_the_fast_way_does(drawn: tuple[list[str], str]) -> None:
    texts, body = drawn
    fast = split_envelope(body.encode(), PAGINATION)
    tolerant = pages._split_tolerantly(body.encode(), PAGINATION)
    assert fast == tolerant
    assert [piece.decode() for piece in fast.pieces] == texts


@settings(deadline=None)
@given(envelopes(most=3), st.data())
def test_what_is_let_through_is_json(drawn: tuple[list[str], str], data: st.DataObject) -> None:
    """Whatever became of a page on its way: what of it is taken for a record, every parser can read."""
    body = bytearray(drawn[1].encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.sampled_from(("replace", "insert", "drop", "cut"))):
            case "replace":
                body[place] = data.draw(st.sampled_from(b'"\\{}[],:0e-u\x00\x0b\x1f\x7f\x80\xff\xed'))
            case "insert":
                body.insert(place, data.draw(st.sampled_from(b'"\\{}[],:0e-u\x00\x0b\x1f\x7f\x80\xff\xed')))
            case "drop":
                del body[place]
            case _:
                del body[place:]
        if not body:
            return
    try:
        page = parse(bytes(body))
    except ProviderBroken:
        return
    for record in page.records:
        assert record.data in body
        assert isinstance(strictly(record.data), dict)


@settings(deadline=None)
@given(documents("t_1"))
def test_a_read_by_id_comes_out_byte_for_byte(text: str) -> None:
    record = PARSER.parse_record(f"\n {text}\r\n".encode())
    assert isinstance(record, PageRecord)
    assert (record.upstream_id, record.data.decode()) == ("t_1", text)


def test_megabytes_of_text_are_cut_by_either_way() -> None:
    long = f'{{"id":"t_1","text":"{"a" * 3_000_000}"}}'
    escaped = '{"id":"t_2","text":"%s"}' % (r"\u0000" * 500_000)
    lone = r'{"id":"t_3","text":"\ud800"}'
    for texts in ([long, escaped], [long, escaped, lone]):
        page = parse(page_of(*texts))
        assert [record.data.decode() for record in page.records] == texts


BROKEN: dict[str, bytes] = {
    "not UTF-8": b'{"id":"t_x","text":"\xff\xfe"}',
    "a surrogate, encoded": b'{"id":"t_x","text":"\xed\xa0\x80"}',
    "no id": b'{"text":"no id"}',
    "null as its id": b'{"id":null}',
    "true as its id": b'{"id":true}',
    "a fraction as its id": b'{"id":1.5}',
    "an empty id": b'{"id":""}',
    "an id of five thousand digits": b'{"id":%s}' % (b"1" * 5000),
    "an id that is too long": b'{"id":"%s"}' % (b"x" * (UPSTREAM_ID_BYTES + 1)),
    "an id with U+0000": rb'{"id":"t\u0000x"}',
    "an id with a lone surrogate": rb'{"id":"t\ud800x"}',
    "one level too deep": nested("t_x", NESTING_LIMIT + 1).encode(),
    "as deep as no parser goes": nested("t_x", 5000).encode(),
    "a string": b'"t_x"',
    "a number": b"1",
    "null": b"null",
    "an array": b'[{"id":"t_x"}]',
    "many brackets, no object": b'"%s"' % (b"[" * 1000),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("neighbour", ['{"id":"t_1"}', r'{"id":"t_1","a":"\ud800"}'], ids=["fast", "tolerant"])
def test_only_the_record_at_fault_is_rejected(text: bytes, neighbour: str) -> None:
    last = '{"id":"t_9","b":1.10}'
    page = parse(page_of(neighbour, text, last))
    assert [record.data.decode() for record in page.records] == [neighbour, last]
    (rejected,) = page.rejected
    assert rejected.data == text
    assert rejected.reason


@pytest.mark.parametrize("name", [name for name, text in BROKEN.items() if text.startswith(b"{")])
def test_a_read_by_id_rejects_what_a_page_rejects(name: str) -> None:
    assert isinstance(PARSER.parse_record(BROKEN[name]), RejectedRecord)


def test_control_characters_break_a_record_wherever_they_stand() -> None:
    for text in (b'{"id":"t_x","a":"\x01"}', b'{"id":"t_x",\x0b"a":1}', b'{"id":"t_x"}\x0b'):
        page = parse(page_of(b'{"id":"t_1"}', text))
        assert [record.upstream_id for record in page.records] == ["t_1"]
        assert len(page.rejected) == 1


def test_nesting_up_to_the_limit_is_let_through() -> None:
    text = nested("t_1", NESTING_LIMIT)
    for neighbour in ('{"id":"t_2"}', r'{"id":"t_2","a":"\ud800"}'):
        page = parse(page_of(text, neighbour))
        assert [record.data.decode() for record in page.records] == [text, neighbour]
    assert isinstance(PARSER.parse_record(text.encode()), PageRecord)


def test_brackets_inside_strings_do_not_count() -> None:
    opening, siblings = r"[{\"" * 1000, ",".join(["[]"] * 1000)
    text = f'{{"id":"t_1","a":"{opening}","b":[{siblings}]}}'
    page = parse(page_of(text))
    assert [record.data.decode() for record in page.records] == [text]


@pytest.mark.parametrize("time", ['"2026-11-23"', "true", "1e400", "-1e400", "1" * 60, "[]", "{}", "null"])
def test_a_time_that_is_none_keeps_the_record(time: str) -> None:
    text = f'{{"id":"t_1","created":{time},"updated":5.25,"version":7}}'
    (record,) = parse(page_of(text)).records
    assert record == PageRecord("t_1", text.encode(), None, 5_250_000, 7)


@pytest.mark.parametrize("text", ['{"id":1}', r'{"id":1,"a":"\ud800"}'])
def test_a_numeric_id_is_a_string(text: str) -> None:
    (record,) = parse(page_of(text)).records
    assert record.upstream_id == "1"


def test_a_deletion_is_told_from_a_record() -> None:
    assert PARSER.parse_record(b'{"id":"t_1","deleted":true}') is None
    assert PARSER.parse_record(rb'{"id":"t_1","deleted" : true,"a":"\ud800"}') is None
    for text in (b'{"id":"t_1","deleted":false}', b'{"id":"t_1","a":{"deleted":true}}', b'{"id":"t_1","a":"deleted"}'):
        assert isinstance(PARSER.parse_record(text), PageRecord)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b"null"])
def test_a_read_by_id_that_is_no_object(body: bytes) -> None:
    with pytest.raises(ProviderBroken):
        PARSER.parse_record(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"<html></html>",
        b'{"data":[]}',
        b'{"has_more":false}',
        b'{"data":{},"has_more":false}',
        b'{"data":[{"id":"t_1"}],"has_more":"no"}',
        b'{"data":[{"id":"t_1"}],"has_more":false',
        rb'{"data":[{"id":"t_1","a":"\ud800"}],"has_more":null}',
        b'{"data":[{"id":"t_1","text":"\xff',
    ],
)
def test_what_is_no_list_is_broken(body: bytes) -> None:
    with pytest.raises(ProviderBroken):
        parse(body)


def test_the_cursor_is_the_last_record_that_can_be_read() -> None:
    assert parse(page_of('{"id":"t_1"}', '{"id":"t_2"}', more=True)).next_cursor == "t_2"
    assert parse(page_of('{"id":"t_1"}', "null", more=True)).next_cursor == "t_1"
    assert parse(page_of('{"id":"t_1"}')).next_cursor is None
    with pytest.raises(ProviderBroken):
        parse(page_of("null", more=True))


def strictly(data: bytes) -> Any:
    """As a parser reads it that forgives nothing."""

    def refuse(name: str) -> Any:
        raise ValueError(name)

    return json.loads(data.decode("utf-8"), parse_constant=refuse, parse_int=str, parse_float=str)
