"""Stripe-shaped customers of about 1 KB, the same for a given seed."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass

import msgspec
import xxhash

_ALPHABET = string.ascii_letters + string.digits
_FIRST = ["Ana", "Ben", "Carla", "Dmitri", "Elif", "Farid", "Grace", "Hiro", "Ines", "Jonas", "Kemi", "Liam", "Mina"]
_LAST = ["Ruiz", "Smith", "Okafor", "Ivanov", "Kaya", "Haddad", "Liu", "Tanaka", "Silva", "Weber", "Adeyemi", "Byrne"]
_CITY = ["Lisbon", "Berlin", "Lagos", "Istanbul", "Osaka", "Dublin", "Torino", "San Francisco"]
_PLAN = ["starter", "team", "business", "enterprise"]


@dataclass(frozen=True, slots=True)
class Customer:
    id: str
    data: bytes
    created: int
    """Microseconds since 1970."""

    @property
    def fingerprint(self) -> int:
        """xxh3 of the bytes as a signed 64-bit integer, as a bigint column holds it."""
        return fingerprint(self.data)


def fingerprint(data: bytes) -> int:
    unsigned = xxhash.xxh3_64_intdigest(data)
    return unsigned - (1 << 64) if unsigned >= 1 << 63 else unsigned


def customers(count: int, *, seed: int = 1, size: int = 1000) -> list[Customer]:
    """`count` customers, newest first as Stripe lists them, with about `size` bytes of JSON each."""
    chance = random.Random(seed)
    return [_customer(chance, number, size=size) for number in range(count, 0, -1)]


def changed(customer: Customer, *, version: int) -> Customer:
    """The same customer with another balance, one digit longer."""
    data = customer.data.replace(b'"balance":', b'"balance":%d' % (version % 9 + 1), 1)
    return Customer(customer.id, data, customer.created)


def _token(chance: random.Random, length: int) -> str:
    return "".join(chance.choices(_ALPHABET, k=length))


def _customer(chance: random.Random, number: int, *, size: int) -> Customer:
    identity = "cus_" + _token(chance, 14)
    first, last, city = chance.choice(_FIRST), chance.choice(_LAST), chance.choice(_CITY)
    created = 1_600_000_000 + number * 37
    small: dict[str, object] = {
        "id": identity,
        "object": "customer",
        "balance": chance.randrange(100_000),
        "created": created,
        "email": f"{first}.{last}.{number}@{_token(chance, 6)}.example".lower(),
    }
    address = {
        "city": city,
        "country": "PT",
        "line1": f"{chance.randrange(1, 400)} {last} Street",
        "line2": None,
        "postal_code": str(chance.randrange(10_000, 99_999)),
        "state": None,
    }
    phone = f"+351{chance.randrange(10**8, 10**9)}"
    large = {
        **small,
        "address": address,
        "currency": "usd",
        "default_source": None,
        "delinquent": False,
        "description": f"{chance.choice(_PLAN)} plan of {first} {last}",
        "discount": None,
        "invoice_prefix": _token(chance, 8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": "pm_" + _token(chance, 24),
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {"crm_id": str(chance.randrange(10**9)), "owner": chance.choice(_FIRST)},
        "name": f"{first} {last}",
        "next_invoice_sequence": chance.randrange(1, 50),
        "phone": phone,
        "preferred_locales": [],
        "shipping": {"address": address, "name": f"{first} {last}", "phone": phone},
        "tax_exempt": "none",
        "test_clock": None,
    }
    body = small if size < 700 else large
    missing = size - len(msgspec.json.encode(body))
    notes: dict[str, str] = {}
    while missing > 40:
        words = " ".join(chance.choices([*_FIRST, *_LAST, *_CITY, *_PLAN], k=min(missing, 900) // 8))
        notes[f"note_{len(notes)}_{_token(chance, 4)}"] = words[: min(missing, 900)]
        missing -= min(missing, 900)
    return Customer(identity, msgspec.json.encode({**body, "notes": notes} if notes else body), created * 10**6)
