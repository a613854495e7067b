"""Words for plausible made-up data."""

from random import Random

from springline.sandbox.stripe.params import Params
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Write

FIRST_NAMES = (
    "Ana", "Björn", "Chloé", "Dmitri", "Elif", "Farid", "Grace", "Hana", "Ivan", "Jorge", "Kenji", "Lena",
    "Maria", "Nia", "Omar", "Priya", "Quinn", "Rosa", "Søren", "Tariq", "Uma", "Viktor", "Wen", "Zoë",
)  # fmt: skip
LAST_NAMES = (
    "Almeida", "Berg", "Castillo", "Dubois", "Eriksson", "Fischer", "García", "Haddad", "Ito", "Jansen",
    "Kowalski", "Lindqvist", "Müller", "Nakamura", "Okafor", "Petrov", "Quispe", "Rossi", "Silva", "Tanaka",
)  # fmt: skip
COMPANIES = ("Acme", "Borealis", "Cobalt", "Dunes", "Everline", "Fjord", "Granite", "Harbour", "Isola", "Juno")
CITIES = (
    ("Berlin", "DE", "10115"),
    ("Lisboa", "PT", "1100-148"),
    ("Madrid", "ES", "28001"),
    ("New York", "US", "10001"),
    ("Osaka", "JP", "530-0001"),
    ("São Paulo", "BR", "01000-000"),
    ("Zürich", "CH", "8001"),
)
STREETS = ("Main Street", "Rua Augusta", "Calle Mayor", "Bahnhofstrasse", "Harbour Road", "Elm Avenue")
TIERS = ("free", "starter", "team", "business", "enterprise")


def person(rng: Random) -> str:
    return f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"


def crm_metadata(rng: Random) -> dict[str, str | None]:
    return {
        "crm_id": str(rng.randrange(10_000, 10_000_000)),
        "tier": rng.choice(TIERS),
        "note": f"{rng.choice(COMPANIES)} {rng.randrange(1_000)}",
    }


def some_id(write: Write, collection: str, rng: Random) -> str:
    """The id of an object to build upon; a new one where none is found. Raw or inactive ones will not do."""
    table = write.account.tables[collection]
    for _ in range(min(len(table), 10)):
        record = table.nth_newest(rng.randrange(len(table)))
        if not record.raw and record.fields.get("active") is not False:
            return record.id
    seed = write.collection(collection).seed
    assert seed is not None
    return str(seed(write, rng)["id"])


def some_value(write: Write, collection: str, rng: Random) -> Object:
    """An object to build upon, as `some_id` finds it."""
    return write.find(collection, some_id(write, collection, rng))


def label(rng: Random) -> str:
    """A short text that hardly comes twice."""
    return f"{rng.choice(COMPANIES)} {rng.randrange(10**6)}"


def last_digits(rng: Random) -> str:
    return f"{rng.randrange(10_000):04d}"


def labelled(rng: Random) -> Params:
    """Parameters of an update that most objects take."""
    return {"metadata": crm_metadata(rng)}


def described(rng: Random) -> Params:
    """The same for objects with a description."""
    return {"description": f"{label(rng)}, changed", "metadata": crm_metadata(rng)}
