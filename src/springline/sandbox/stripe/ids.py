"""Ids in Stripe's style, drawn from a seeded source."""

import random
import string

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


def new_id(prefix: str, *, rng: random.Random, length: int) -> str:
    """`prefix` and `length` letters and digits; the same source gives the same ids again."""
    return prefix + "".join(rng.choices(_ALPHABET, k=length))
