"""JSON laid out for people to read."""

import json
from typing import Any

import msgspec

Object = dict[str, Any]
"""One API object as Python values."""


def pretty(value: Any) -> bytes:
    """`value` with two-space indentation, keys in their given order."""
    try:
        return msgspec.json.format(msgspec.json.encode(value), indent=2)
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8 form; escaped it has one.
        return json.dumps(value, indent=2, ensure_ascii=True).encode()


def parse(text: bytes) -> Any:
    return json.loads(text)
