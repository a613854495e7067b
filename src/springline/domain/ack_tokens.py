"""Ack tokens: one delivery's name, in 38 characters that mean nothing to a client."""

import base64
import binascii
import struct
from typing import NamedTuple

_LAYOUT = struct.Struct(">IQQQ")


class AckToken(NamedTuple):
    """Which delivery: of this consumer, this record, this version, under a number that is never used twice."""

    consumer_no: int
    record_no: int
    idx: int
    delivery_no: int


def encode_ack_token(token: AckToken) -> str:
    return base64.urlsafe_b64encode(_LAYOUT.pack(*token)).decode().rstrip("=")


def decode_ack_token(text: str) -> AckToken | None:
    """None for what is no token of ours."""
    try:
        return AckToken(*_LAYOUT.unpack(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
    except (binascii.Error, struct.error, ValueError):
        return None
