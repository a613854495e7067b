"""From an answer to records: `data` is cut out of the body, never decoded and re-encoded (I6).

The fast way lets msgspec check and split the whole body. Where it refuses (a lone surrogate escape, deep nesting,
broken UTF-8), a scanner splits the page record by record and only the record at fault is rejected.
"""

import json
import re
from typing import Any, Final, NamedTuple

import msgspec

from springline.domain.errors import ProviderBroken
from springline.domain.records import PageRecord, RejectedRecord
from springline.providers.access import Answer
from springline.providers.record_readers import (
    JSON_STRING,
    decode_tolerantly,
    id_fault,
    is_utf8,
    qualified,
    record_reader,
)
from springline.providers.vocabulary import Collection, CursorById, ListEndpoint, OneObject, Pagination, ReadById

_TOKEN: Final = re.compile(JSON_STRING + rb"|[{}\[\],:]", re.DOTALL)
_SPACE: Final = b" \t\n\r"
#: One link of a Link header with its parameters (RFC 8288).
_LINK: Final = re.compile(r"<([^>]*)>((?:\s*;\s*[^,;=]+(?:=(?:\"[^\"]*\"|[^,;]*))?)*)")
_NEXT: Final = re.compile(r";\s*rel\s*=\s*\"?[^\";]*\bnext\b", re.IGNORECASE)


class ParsedPage(NamedTuple):
    """What one answer holds. `next_cursor` is None on the last page: an id, or the URL of the next page."""

    records: list[PageRecord]
    rejected: list[RejectedRecord]
    next_cursor: str | None


class Envelope(NamedTuple):
    """A list's raw objects, those that were rejected while it was split, and whether more follows (where the list
    itself says so)."""

    pieces: list[bytes]
    rejected: list[RejectedRecord]
    more: bool


class PageParser:
    """Parses the pages and by-id answers of one collection, as one kind of credential sees it."""

    def __init__(self, collection: Collection, listing: ListEndpoint) -> None:
        self._pagination = listing.pagination
        self._empty_statuses = listing.empty_statuses
        self._decoder = _envelope_decoder(listing.pagination)
        self._read_record = record_reader(collection)
        self._read = collection.read

    def parse_page(self, answer: Answer, *, within: str | None = None) -> ParsedPage:
        """`within`: the ancestor's id that is put before each record's. Raises ProviderBroken if the body is no such
        list."""
        if answer.status in self._empty_statuses:
            return ParsedPage([], [], None)
        envelope = split_envelope(answer.body, self._pagination, self._decoder)
        records: list[PageRecord] = []
        rejected = envelope.rejected
        last_key: str | None = None
        for piece in envelope.pieces:
            record = self._read_record(piece)
            if isinstance(record, RejectedRecord):
                rejected.append(record)
                continue
            last_key = record.upstream_id
            record = record if within is None else _within(record, within)
            (records if isinstance(record, PageRecord) else rejected).append(record)  # type: ignore[arg-type]
        return ParsedPage(records, rejected, self._next_cursor(answer, envelope, last_key))

    def _next_cursor(self, answer: Answer, envelope: Envelope, last_key: str | None) -> str | None:
        if not isinstance(self._pagination, CursorById):
            return next_link(answer.headers.get("link", ""))
        if not envelope.more:
            return None
        if last_key is None:
            raise ProviderBroken("says that more follows a page on which there is no record to go on from")
        return last_key

    def parse_record(self, body: bytes, *, within: str | None = None) -> PageRecord | RejectedRecord | None:
        """One record read by id; None if the answer says that it is deleted. Raises ProviderBroken if it is none."""
        data = body.strip(_SPACE)
        if not data.startswith(b"{"):
            raise ProviderBroken("answered a read by id with something that is no JSON object")
        if not is_utf8(data):  # the fast way does not look into what it passes over
            return RejectedRecord(data, "is not UTF-8")
        if self._read is not None and _is_gone(data, self._read):
            return None
        record = self._read_record(data)
        return record if within is None or isinstance(record, RejectedRecord) else _within(record, within)


def split_envelope(body: bytes, pagination: Pagination, decoder: "msgspec.json.Decoder[Any] | None" = None) -> Envelope:
    """The raw objects of a list and whether more follows. Raises ProviderBroken if the body is no such list."""
    if isinstance(pagination, OneObject):
        return _one_object(body)
    decoder = decoder or _envelope_decoder(pagination)
    try:
        body.decode("utf-8")
        envelope = decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _split_tolerantly(body, pagination)
    if isinstance(envelope, list):
        return Envelope([bytes(raw) for raw in envelope], [], False)
    return Envelope([bytes(raw) for raw in envelope.records], [], envelope.more)


def next_link(header: str) -> str | None:
    """The URL of the next page in a Link header."""
    return next((url for url, parameters in _LINK.findall(header) if _NEXT.search(parameters)), None)


def _within(record: PageRecord, ancestor_id: str) -> PageRecord | RejectedRecord:
    upstream_id = qualified(ancestor_id, record.upstream_id)
    fault = id_fault(upstream_id)
    return record._replace(upstream_id=upstream_id) if fault is None else RejectedRecord(record.data, fault)


def _one_object(body: bytes) -> Envelope:
    data = body.strip(_SPACE)
    if not data.startswith(b"{"):
        raise ProviderBroken("answered with something that is no JSON object")
    if not is_utf8(data):
        return Envelope([], [RejectedRecord(data, "is not UTF-8")], False)
    return Envelope([data], [], False)


def _envelope_decoder(pagination: Pagination) -> "msgspec.json.Decoder[Any]":
    records_field = None if isinstance(pagination, OneObject) else pagination.records_field
    if records_field is None:
        return msgspec.json.Decoder(list[msgspec.Raw])
    fields: list[Any] = [("records", list[msgspec.Raw], msgspec.field(name=records_field))]
    if isinstance(pagination, CursorById):
        fields.append(("more", bool, msgspec.field(name=pagination.more_field)))
    else:
        fields.append(("more", bool, msgspec.field(name="", default=False)))
    return msgspec.json.Decoder(msgspec.defstruct("ListEnvelope", fields))


def _is_gone(data: bytes, read: ReadById) -> bool:
    looks_for = [(read.gone_field, b"true", True), (read.gone_when_null, b"null", None)]
    for name, raw, value in looks_for:
        if name is None or name.encode() not in data:
            continue
        try:
            fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
            if name in fields and bytes(fields[name]) == raw:
                return True
        except (msgspec.DecodeError, RecursionError):
            try:
                found = decode_tolerantly(data)
                if name in found and found[name] is value:
                    return True
            except (ValueError, RecursionError, TypeError):
                continue
    return False


def _split_tolerantly(body: bytes, pagination: Pagination) -> Envelope:
    """Cuts the list out of the envelope by brackets and strings alone, then decodes what is left of the envelope."""
    assert not isinstance(pagination, OneObject)
    records_field = pagination.records_field
    records_key = None if records_field is None else json.dumps(records_field).encode()
    inside = 1 if records_key is None else 2  # how deep the list's brackets lie
    pieces: list[bytes] = []
    rejected: list[RejectedRecord] = []
    depth = 0
    list_start = list_end = piece_start = -1
    last_string: bytes | None = None
    for token in _TOKEN.finditer(body):
        text = token.group()
        mark = text[0]
        if mark == 0x22:  # "
            last_string = text if depth == 1 else last_string
        elif mark in b"{[":
            depth += 1
            if mark == 0x5B and depth == inside and last_string == records_key and list_start < 0:
                list_start, piece_start = token.start(), token.end()
        elif mark in b"}]":
            depth -= 1
            if depth == inside - 1 and list_start >= 0 and list_end < 0:
                list_end = token.end()
                _cut(body[piece_start : token.start()], pieces, rejected)
        elif mark == 0x2C and depth == inside and list_start >= 0 and list_end < 0:
            _cut(body[piece_start : token.start()], pieces, rejected)
            piece_start = token.end()
    if depth != 0 or list_end < 0:
        raise ProviderBroken(
            f"answered with something that is no list{f' of {records_field}' if records_field else ''}"
        )
    left = body[:list_start] + b"[]" + body[list_end:]
    return Envelope(pieces, rejected, _says_more(left, pagination))


def _says_more(envelope: bytes, pagination: Pagination) -> bool:
    try:
        fields = decode_tolerantly(envelope)
    except (ValueError, RecursionError):
        raise ProviderBroken("answered with something that is no JSON around its list") from None
    if not isinstance(pagination, CursorById):
        return False
    more = fields.get(pagination.more_field) if isinstance(fields, dict) else None
    if more is None:
        raise ProviderBroken(f"answered with a list that does not say {pagination.more_field}")
    if not isinstance(more, bool):
        raise ProviderBroken(f"answered {pagination.more_field} that is neither true nor false")
    return more


def _cut(piece: bytes, pieces: list[bytes], rejected: list[RejectedRecord]) -> None:
    piece = piece.strip(_SPACE)
    if not is_utf8(piece):
        rejected.append(RejectedRecord(piece, "is not UTF-8"))
    elif piece:
        pieces.append(piece)
