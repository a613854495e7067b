"""Ids that we give: UUIDs of version 7, so that their order is the order of creation to the millisecond."""

import os
import time
import uuid


def uuid7(milliseconds: int, chance: bytes) -> uuid.UUID:
    """A UUID of version 7 (RFC 9562) from a time since 1970 and ten random bytes."""
    random_bits = int.from_bytes(chance[:10], "big")
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76
    value |= ((random_bits >> 62) & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random_bits & ((1 << 62) - 1)
    return uuid.UUID(int=value)


def new_id() -> uuid.UUID:
    """A fresh id, as of now."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def parse_id(text: str) -> uuid.UUID | None:
    """The id that a path or a list's filter names; None if it is no UUID in its usual spelling."""
    if len(text) != 36:
        return None
    try:
        value = uuid.UUID(text)
    except ValueError:
        return None
    return value if str(value) == text.lower() else None
