"""Reading the little that is needed of a record: its key, its times, its version. Its bytes stay as they came (I6).

The fast way lets msgspec decode these fields alone. What it refuses is looked at by Python's own decoder, which takes a
lone surrogate escape, or a time that is none.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec

from springline.domain.records import UPSTREAM_ID_BYTES, PageRecord, RejectedRecord
from springline.providers.vocabulary import Collection, TimeFormat

#: A record nested deeper is rejected: many a parser that consumers use would fail on it.
NESTING_LIMIT: Final = 512
#: A JSON string. Possessive: without, a string of megabytes takes a hundred times its size in memory.
JSON_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'
_STRINGS: Final = re.compile(JSON_STRING, re.DOTALL)
_BRACKETS: Final = b"{[]}"
_STEPS: Final = dict(zip(_BRACKETS, (1, 1, -1, -1), strict=True))
_NO_BRACKETS: Final = bytes(set(range(256)) - set(_BRACKETS))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST_SECOND, _END_SECOND = -62_135_596_800, 253_402_300_800


class _Path(NamedTuple):
    """A field by its path in the record."""

    names: tuple[str, ...]
    type: Any


RecordReader = Callable[[bytes], PageRecord | RejectedRecord]


def record_reader(collection: Collection) -> RecordReader:
    """A function that reads key, times and version of a collection's record, which is UTF-8.

    Only a key is needed: a time that is none is no time.
    """
    time_type: Any = (int | float | None) if collection.time_format == "unix" else (datetime | None)
    paths = {
        f"key_{number}": _Path(tuple(key.split(".")), str | int | None) for number, key in enumerate(collection.keys)
    }
    for role, field in (("created", collection.created), ("updated", collection.updated)):
        if field is not None:
            paths[role] = _Path(tuple(field.split(".")), time_type)
    if collection.version is not None:
        paths["version"] = _Path(tuple(collection.version.split(".")), int | None)
    decode = msgspec.json.Decoder(_struct_of(list(paths.values()))).decode
    getters = {role: _getter(path.names) for role, path in paths.items()}
    keys = [getters[role] for role in getters if role.startswith("key_")]
    created, updated, version = getters.get("created"), getters.get("updated"), getters.get("version")
    to_us: Callable[[Any], int | None] = _unix_us if collection.time_format == "unix" else _datetime_us
    one_key = keys[0]

    def read(data: bytes) -> PageRecord | RejectedRecord:
        try:
            record = decode(data)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return _read_tolerantly(data, collection)
        key = one_key(record)
        if key is None:
            key = next((each for each in (get(record) for get in keys[1:]) if each is not None), None)
        fault = _key_fault(key, collection) or _nesting_fault(data)
        if fault is not None:
            return RejectedRecord(data, fault)
        return PageRecord(
            str(key),
            data,
            to_us(created(record)) if created is not None else None,
            to_us(updated(record)) if updated is not None else None,
            version(record) if version is not None else None,
        )

    return read


def field_at(fields: Any, path: str) -> Any:
    """The value at a path with dots in decoded JSON; None where there is none."""
    for name in path.split("."):
        fields = fields.get(name) if isinstance(fields, dict) else None
    return fields


def qualified(ancestor_id: str, key: str) -> str:
    """The upstream id of a record whose key is unique within an ancestor only: the ancestor's id before its own, each
    percent-encoded, joined by slashes. An id that is made up already stays as it is."""
    before = ancestor_id if "/" in ancestor_id else quote(ancestor_id, safe="")
    return f"{before}/{quote(key, safe='')}"


def decode_tolerantly(data: bytes) -> Any:
    """Python's decoder takes lone surrogate escapes; raises ValueError for what is no JSON."""
    return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant, parse_int=_bounded_int)


def is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def id_fault(upstream_id: str) -> str | None:
    """Why an id cannot be kept, if it cannot."""
    if not upstream_id:
        return "its id is empty"
    try:
        size = len(upstream_id.encode())
    except UnicodeEncodeError:
        return "its id holds a lone surrogate"
    if size > UPSTREAM_ID_BYTES:
        return f"its id is {size} bytes long (at most {UPSTREAM_ID_BYTES})"
    return "its id holds U+0000" if "\x00" in upstream_id else None


def _struct_of(paths: list[_Path]) -> Any:
    """A struct type that decodes just these fields, each None where it is not there."""
    by_name: dict[str, list[_Path]] = {}
    for path in paths:
        by_name.setdefault(path.names[0], []).append(path)
    fields: list[Any] = []
    for name, below in by_name.items():
        # The number of a field, not its name: an API may use words that are none in Python.
        python_name = _python_name(name)
        if len(below[0].names) == 1:
            kind = below[0].type
        else:
            kind = _struct_of([path._replace(names=path.names[1:]) for path in below]) | None
        fields.append((python_name, kind, msgspec.field(name=name, default=None)))
    return msgspec.defstruct("RecordHead", fields)


def _python_name(name: str) -> str:
    return "f_" + name.encode().hex()


def _getter(names: tuple[str, ...]) -> Callable[[Any], Any]:
    attributes = [_python_name(name) for name in names]
    if len(attributes) == 1:
        only = attributes[0]
        return lambda record: getattr(record, only)

    def get(record: Any) -> Any:
        for attribute in attributes:
            if record is None:
                return None
            record = getattr(record, attribute)
        return record

    return get


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
    key = next(_keys(fields, collection), None)
    fault = _key_fault(key, collection)
    if fault is not None:
        return RejectedRecord(data, fault)
    version = None if collection.version is None else field_at(fields, collection.version)
    return PageRecord(
        str(key),
        data,
        _time_us(fields, collection.created, collection.time_format),
        _time_us(fields, collection.updated, collection.time_format),
        version if isinstance(version, int) and not isinstance(version, bool) else None,
    )


def _keys(fields: dict[str, Any], collection: Collection) -> Iterator[str | int]:
    for path in collection.keys:
        key = field_at(fields, path)
        if isinstance(key, str | int) and not isinstance(key, bool):
            yield key


def _key_fault(key: str | int | None, collection: Collection) -> str | None:
    if key is None:
        return f"has no {' nor '.join(collection.keys)} that is a string or a whole number"
    return id_fault(str(key))


def _time_us(fields: dict[str, Any], path: str | None, time_format: TimeFormat) -> int | None:
    value: Any = None if path is None else field_at(fields, path)
    if time_format == "unix":
        return _unix_us(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    try:
        return _datetime_us(datetime.fromisoformat(value))
    except (TypeError, ValueError):
        return None


def _unix_us(seconds: float | None) -> int | None:
    """None for a time that no calendar holds."""
    if seconds is None or not _FIRST_SECOND <= seconds < _END_SECOND:
        return None
    return round(seconds * 1_000_000)


def _datetime_us(at: datetime | None) -> int | None:
    if at is None:
        return None
    return ((at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def _nesting_fault(data: bytes) -> str | None:
    if data.count(b"[") + data.count(b"{") <= NESTING_LIMIT:
        return None
    brackets = _STRINGS.sub(b"", data).translate(None, _NO_BRACKETS)
    levels = max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
    return f"is nested {levels} levels deep (at most {NESTING_LIMIT})" if levels > NESTING_LIMIT else None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _bounded_int(digits: str) -> int | float:
    """Python refuses to convert thousands of digits; only ids and times are looked at."""
    return int(digits) if len(digits) < 100 else float("inf")
