"""From an answer's bytes to records: `data` is cut out of the body, never decoded and re-encoded (I6).

The fast way lets msgspec check and split the whole body. Where it refuses (a lone surrogate escape, deep nesting,
broken UTF-8), a scanner splits the page record by record and only the record at fault is rejected.
"""

import json
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any, Final, NamedTuple

import msgspec

from springline.domain.errors import ProviderBroken
from springline.domain.records import UPSTREAM_ID_BYTES, PageRecord, RejectedRecord
from springline.providers.vocabulary import Collection, CursorById

#: A record nested deeper is rejected: many a parser that consumers use would fail on it.
NESTING_LIMIT: Final = 512
# Possessive: without, a string of megabytes takes a hundred times its size in memory.
_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'
_TOKEN: Final = re.compile(_STRING + rb"|[{}\[\],:]", re.DOTALL)
_STRINGS: Final = re.compile(_STRING, re.DOTALL)
_BRACKETS: Final = b"{[]}"
_STEPS: Final = dict(zip(_BRACKETS, (1, 1, -1, -1), strict=True))
_NO_BRACKETS: Final = bytes(set(range(256)) - set(_BRACKETS))
_SPACE: Final = b" \t\n\r"


class ParsedPage(NamedTuple):
    """What one answer holds. `next_cursor` is None on the last page."""

    records: list[PageRecord]
    rejected: list[RejectedRecord]
    next_cursor: str | None


class Envelope(NamedTuple):
    """A list's raw objects, those that were rejected while it was split, and whether more follows."""

    pieces: list[bytes]
    rejected: list[RejectedRecord]
    more: bool


class PageParser:
    """Parses the pages and by-id answers of one collection, or of a feed."""

    def __init__(self, collection: Collection) -> None:
        self._pagination = collection.listing.pagination
        self._envelope = _envelope_decoder(self._pagination)
        self._read_record = record_reader(collection)
        self._gone_field = collection.read.gone_field

    def parse_page(self, body: bytes) -> ParsedPage:
        """Raises ProviderBroken if the body is no such list."""
        envelope = split_envelope(body, self._pagination, self._envelope)
        records: list[PageRecord] = []
        rejected = envelope.rejected
        for piece in envelope.pieces:
            record = self._read_record(piece)
            if isinstance(record, PageRecord):
                records.append(record)
            else:
                rejected.append(record)
        if not envelope.more:
            return ParsedPage(records, rejected, None)
        if not records:
            raise ProviderBroken("says that more follows a page on which there is no record to go on from")
        return ParsedPage(records, rejected, records[-1].upstream_id)

    def parse_record(self, body: bytes) -> PageRecord | RejectedRecord | None:
        """One record read by id; None if the answer says that it is deleted. Raises ProviderBroken if it is none."""
        data = body.strip(_SPACE)
        if not data.startswith(b"{"):
            raise ProviderBroken("answered a read by id with something that is no JSON object")
        if not _is_utf8(data):  # the fast way does not look into what it passes over
            return RejectedRecord(data, "is not UTF-8")
        if self._gone_field is not None and _is_gone(data, self._gone_field):
            return None
        return self._read_record(data)


def split_envelope(body: bytes, pagination: CursorById, decoder: "msgspec.json.Decoder[Any] | None" = None) -> Envelope:
    """The raw objects of a list and whether more follows. Raises ProviderBroken if the body is no such list."""
    decoder = decoder or _envelope_decoder(pagination)
    try:
        body.decode("utf-8")
        envelope = decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _split_tolerantly(body, pagination)
    return Envelope([bytes(raw) for raw in envelope.records], [], envelope.more)


def _envelope_decoder(pagination: CursorById) -> "msgspec.json.Decoder[Any]":
    struct = msgspec.defstruct(
        "ListEnvelope",
        [("records", list[msgspec.Raw]), ("more", bool)],
        rename={"records": pagination.records_field, "more": pagination.more_field},
    )
    return msgspec.json.Decoder(struct)


def record_reader(collection: Collection) -> Callable[[bytes], PageRecord | RejectedRecord]:
    """A function that reads key, times and version of a collection's record, which is UTF-8.

    Only a key is needed: a time that is none is no time.
    """
    number = int | float | None
    fields: list[Any] = [("key", str | int, msgspec.field(name=collection.key))]
    for name, source in (("created", collection.created), ("updated", collection.updated)):
        if source is not None:
            fields.append((name, number, msgspec.field(name=source, default=None)))
    if collection.version is not None:
        fields.append(("version", int | None, msgspec.field(name=collection.version, default=None)))
    head: type[Any] = msgspec.defstruct("RecordHead", fields)
    decode = msgspec.json.Decoder(head).decode
    has_created, has_updated = collection.created is not None, collection.updated is not None
    has_version = collection.version is not None

    def read(data: bytes) -> PageRecord | RejectedRecord:
        try:
            record = decode(data)
            upstream_id = str(record.key)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return _read_tolerantly(data, collection)
        fault = _id_fault(upstream_id) or _nesting_fault(data)
        if fault is not None:
            return RejectedRecord(data, fault)
        return PageRecord(
            upstream_id,
            data,
            _microseconds(record.created) if has_created else None,
            _microseconds(record.updated) if has_updated else None,
            record.version if has_version else None,
        )

    return read


def _read_tolerantly(data: bytes, collection: Collection) -> PageRecord | RejectedRecord:
    """What msgspec refuses may hold no more than a lone surrogate escape, or a time that is no number."""
    fault = _nesting_fault(data)
    if fault is not None:
        return RejectedRecord(data, fault)
    try:
        fields = decode_tolerantly(data)
    except (ValueError, RecursionError) as error:
        return RejectedRecord(data, f"cannot be read as a record: {error}")
    if not isinstance(fields, dict):
        return RejectedRecord(data, "is no JSON object")
    key = fields.get(collection.key)
    if isinstance(key, bool) or not isinstance(key, str | int):
        return RejectedRecord(data, f"has no {collection.key} that is a string or a whole number")
    fault = _id_fault(str(key))
    if fault is not None:
        return RejectedRecord(data, fault)
    version = fields.get(collection.version)
    return PageRecord(
        str(key),
        data,
        _microseconds(_number(fields.get(collection.created))),
        _microseconds(_number(fields.get(collection.updated))),
        version if isinstance(version, int) and not isinstance(version, bool) else None,
    )


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _microseconds(seconds: float | None) -> int | None:
    """None for a time that no calendar holds."""
    if seconds is None or not -62_135_596_800 <= seconds < 253_402_300_800:
        return None
    return round(seconds * 1_000_000)


def _id_fault(upstream_id: str) -> str | None:
    if not upstream_id:
        return "its id is empty"
    try:
        size = len(upstream_id.encode())
    except UnicodeEncodeError:
        return "its id holds a lone surrogate"
    if size > UPSTREAM_ID_BYTES:
        return f"its id is {size} bytes long (at most {UPSTREAM_ID_BYTES})"
    return "its id holds U+0000" if "\x00" in upstream_id else None


def _nesting_fault(data: bytes) -> str | None:
    if data.count(b"[") + data.count(b"{") <= NESTING_LIMIT:
        return None
    brackets = _STRINGS.sub(b"", data).translate(None, _NO_BRACKETS)
    levels = max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
    return f"is nested {levels} levels deep (at most {NESTING_LIMIT})" if levels > NESTING_LIMIT else None


def decode_tolerantly(data: bytes) -> Any:
    """Python's decoder takes lone surrogate escapes; raises ValueError for what is no JSON."""
    return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant, parse_int=_bounded_int)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _bounded_int(digits: str) -> int | float:
    """Python refuses to convert thousands of digits; only ids and times are looked at."""
    return int(digits) if len(digits) < 100 else float("inf")


def _is_gone(data: bytes, gone_field: str) -> bool:
    if gone_field.encode() not in data:
        return False
    try:
        fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        return bytes(fields.get(gone_field, msgspec.Raw(b"false"))) == b"true"
    except (msgspec.DecodeError, RecursionError):
        try:
            return decode_tolerantly(data).get(gone_field) is True
        except (ValueError, RecursionError):
            return False


def _split_tolerantly(body: bytes, pagination: CursorById) -> Envelope:
    """Cuts the list out of the envelope by brackets and strings alone, then decodes what is left of the envelope."""
    records_key = json.dumps(pagination.records_field).encode()
    pieces: list[bytes] = []
    rejected: list[RejectedRecord] = []
    depth = 0
    list_start = list_end = piece_start = -1
    last_string = b""
    for token in _TOKEN.finditer(body):
        text = token.group()
        mark = text[0]
        if mark == 0x22:  # "
            last_string = text if depth == 1 else last_string
        elif mark in b"{[":
            depth += 1
            if mark == 0x5B and depth == 2 and last_string == records_key and list_start < 0:
                list_start, piece_start = token.start(), token.end()
        elif mark in b"}]":
            depth -= 1
            if depth == 1 and list_start >= 0 and list_end < 0:
                list_end = token.end()
                _cut(body[piece_start : token.start()], pieces, rejected)
        elif mark == 0x2C and depth == 2 and list_start >= 0 and list_end < 0:
            _cut(body[piece_start : token.start()], pieces, rejected)
            piece_start = token.end()
    if depth != 0 or list_end < 0:
        raise ProviderBroken(f"answered with something that is no list of {pagination.records_field}")
    try:
        envelope = decode_tolerantly(body[:list_start] + b"[]" + body[list_end:])
        more = envelope[pagination.more_field]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ProviderBroken(f"answered with a list that does not say {pagination.more_field}") from None
    if not isinstance(more, bool):
        raise ProviderBroken(f"answered {pagination.more_field} that is neither true nor false")
    return Envelope(pieces, rejected, more)


def _cut(piece: bytes, pieces: list[bytes], rejected: list[RejectedRecord]) -> None:
    piece = piece.strip(_SPACE)
    if not _is_utf8(piece):
        rejected.append(RejectedRecord(piece, "is not UTF-8"))
    elif piece:
        pieces.append(piece)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
