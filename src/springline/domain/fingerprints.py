"""Fingerprints: cheap answers to "is this the record that we have?".

Two of 64 bits. The raw print is of the bytes: equal bytes are equal content. Where it differs, the content print
decides; it is blind to the order of keys and to white space, and to nothing else: a number that is spelt differently
(`1.10`, `1.1`) is a change.
"""

import json
from typing import Any

import xxhash


def raw_print(data: bytes) -> int:
    """xxh3 of the bytes, as PostgreSQL's signed bigint."""
    return _signed(xxhash.xxh3_64_intdigest(data))


def content_print(data: bytes) -> int:
    """xxh3 of the content, as a signed bigint. Data that Python cannot decode (nested too deep) has its raw print."""
    try:
        content = json.loads(data, parse_int=_spelling, parse_float=_spelling, object_pairs_hook=_sorted_object)
        # repr tells every type apart and is written in C; a number's spelling is bytes, so that 1 is not "1".
        canonical = repr(content).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return raw_print(data)
    return _signed(xxhash.xxh3_64_intdigest(canonical))


def _spelling(number: str) -> bytes:
    return number.encode()


def _sorted_object(pairs: list[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    # No dict: a key that stands twice is content too. A tuple is what no array becomes.
    return tuple(sorted(pairs, key=_key))


def _key(pair: tuple[str, Any]) -> str:
    return pair[0]


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
