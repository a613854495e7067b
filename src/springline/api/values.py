"""What values from outside may be, and names that are near."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

METADATA_BYTES: Final = 16 * 1024
#: Deeper metadata is refused: what we take in we must be able to answer, one level further down.
METADATA_DEPTH: Final = 64

_SURROGATE = re.compile("[\ud800-\udfff]")


def nearest(text: str, known: Iterable[str]) -> str:
    """`; did you mean …?` if one of the known names is near, else nothing."""
    found = difflib.get_close_matches(text[:200], list(known), n=1, cutoff=0.6)
    return f"; did you mean `{found[0]}`?" if found else ""


def nearest_collection(text: str, known: Iterable[str]) -> str:
    """The same for ids of collections, which are near by what comes after the provider."""
    by_name = {each.rpartition(":")[2]: each for each in known}
    found = difflib.get_close_matches(text[:200].rpartition(":")[2], list(by_name), n=1, cutoff=0.6)
    return f"; did you mean `{by_name[found[0]]}`?" if found else ""


def metadata_fault(value: Mapping[str, Any]) -> str | None:
    """Why a free object cannot be kept; None: it can."""
    level: list[Any] = [value]
    for _ in range(METADATA_DEPTH):
        if not level:
            break
        level = [inner for outer in level for inner in _members(outer)]
    if level:
        return f"must not be nested deeper than {METADATA_DEPTH} levels"
    if len(msgspec.json.encode(value)) > METADATA_BYTES:
        return "must not be larger than 16 KiB"
    return None


def _members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def text_fault(value: Any) -> str | None:
    """PostgreSQL keeps neither U+0000 nor half a surrogate pair, and no number beyond a double goes through JSON."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            if "\0" in one:
                return "must not hold the character U+0000"
            if not one.isascii() and _SURROGATE.search(one):
                return "must not hold half of a surrogate pair"
        elif isinstance(one, dict):
            stack.extend(one)
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)
        elif isinstance(one, (int, float)) and not -1e308 < one < 1e308:
            return "holds a number that is out of range"
    return None


def printable(name: str) -> str:
    """A name that a client made up, as it may be answered."""
    return name[:100].encode("utf-8", "replace").decode().replace("\0", "?")
