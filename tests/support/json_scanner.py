"""Cutting JSON into its parts without parsing a value: for answers whose very bytes matter."""

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\]:,]|[^\s{}\[\]:,"]++', re.DOTALL)


def members(text: bytes) -> dict[str, bytes]:
    """The values of an object by their keys, which hold no escapes; each as it stands, without the space around it."""
    parts = list(_parts(text, b"{", b"}"))
    return {key.decode("ascii").strip('"'): value for key, value in zip(parts[::2], parts[1::2], strict=True)}


def elements(text: bytes) -> list[bytes]:
    """The values of an array, each as it stands, without the space around it."""
    return list(_parts(text, b"[", b"]"))


def _parts(text: bytes, opening: bytes, closing: bytes) -> Iterator[bytes]:
    depth = 0
    start = end = -1
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in (b"{", b"["):
            depth += 1
            if depth == 1:
                assert mark == opening, f"{text[:20]!r} begins with {mark!r}"
                continue
        elif mark in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                assert mark == closing
                break
        elif depth == 1 and mark in (b",", b":"):
            yield text[start:end]
            start = -1
            continue
        start = token.start() if start < 0 else start
        end = token.end()
    assert depth == 0, "it does not end"
    if start >= 0:
        yield text[start:end]
