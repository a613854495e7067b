"""What GitHub answered and sent, as octokit's packages recorded it: tests/data/octokit/SOURCES.txt says which."""

import json
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from springline.providers.access import Answer

_FOLDER: Final = Path(__file__).parent.parent / "data/octokit"
WEBHOOKS: Final = tuple(sorted(path.stem for path in (_FOLDER / "webhooks").glob("*.json")))


class Recorded(NamedTuple):
    """A request that was made, and its answer."""

    path: str
    answer: Answer


def recorded(scenario: str) -> list[Recorded]:
    """The answers of a scenario, in order."""
    exchanges = json.loads((_FOLDER / f"answers/{scenario}.json").read_text())
    return [
        Recorded(
            exchange["path"],
            Answer(
                status=exchange["status"],
                headers={name.lower(): value for name, value in exchange["headers"].items()},
                body=exchange["body"].encode(),
            ),
        )
        for exchange in exchanges
    ]


def inside_webhook(name: str, field: str) -> bytes:
    """The bytes of an object in a payload."""
    payload = (_FOLDER / f"webhooks/{name}.json").read_bytes()
    return bytes(msgspec.json.decode(payload, type=dict[str, msgspec.Raw])[field])
