"""Words for plausible made-up data."""

from random import Random

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
