"""Objects put as text: what lists need to know of them, without touching a byte."""

import json
from dataclasses import dataclass, field
from typing import Any


class RawError(ValueError):
    """The text is not what a checked raw object must be."""


@dataclass(frozen=True, slots=True)
class RawObject:
    """The id is right; the creation time, if the text has one; values for list filters."""

    created: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def read_raw(text: bytes, *, object_id: str, unchecked: bool) -> RawObject:
    """Look into the text. Raises RawError unless it is a JSON object with this id, or is `unchecked`."""
    try:
        value = json.loads(text)
        if not isinstance(value, dict):
            raise RawError("a raw object is a JSON object")
        if value.get("id") != object_id:
            raise RawError(f'a raw object holds "id": "{object_id}"')
    except (ValueError, RecursionError) as error:
        if unchecked:
            return RawObject()
        raise RawError(f"{error} (?unchecked=true takes any bytes)") from error
    created = value.get("created")
    scalars = {
        name: entry for name, entry in value.items() if isinstance(entry, str | int | bool) and name != "created"
    }
    return RawObject(created if isinstance(created, int) else None, scalars)
