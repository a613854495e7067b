"""Which collection, and what of it, a path below /v1 names."""

from collections.abc import Iterable
from dataclasses import dataclass

from springline.sandbox.stripe.collection import Collection


@dataclass(frozen=True, slots=True)
class Target:
    """A collection, or one of its objects, or an action of one; perhaps below a parent."""

    collection: Collection
    object_id: str | None = None
    action: str | None = None
    parent_id: str | None = None
    """The parent's id where the path goes through it: `/customers/{parent_id}/tax_ids`."""


class Paths:
    """The paths of these collections, with one or two segments and perhaps below a parent."""

    def __init__(self, collections: Iterable[Collection]) -> None:
        self._by_path: dict[tuple[str, ...], Collection] = {}
        self._below: dict[tuple[str, str], Collection] = {}
        for kind in collections:
            if kind.path is not None:
                self._by_path[tuple(kind.path.split("/"))] = kind
            if kind.parent is not None and kind.parent.segment is not None:
                self._below[kind.parent.collection, kind.parent.segment] = kind

    def find(self, parts: tuple[str, ...]) -> Target | None:
        """What the segments below /v1 name, None for what no collection has."""
        kind, rest = self._split(parts)
        if kind is None:
            return None
        match rest:
            case ():
                return Target(kind)
            case (object_id,):
                return Target(kind, object_id)
            case (parent_id, segment, *deeper) if (kind.name, segment) in self._below and len(deeper) <= 1:
                child = self._below[kind.name, segment]
                return Target(child, deeper[0] if deeper else None, parent_id=parent_id)
            case (object_id, action):
                return Target(kind, object_id, action)
        return None

    def template(self, parts: tuple[str, ...]) -> str:
        """`/v1/customers/:id/tax_ids`: what a limit on an endpoint counts together."""
        _, rest = self._split(parts)
        head = parts[: len(parts) - len(rest)]
        shown = [":id" if index % 2 == 0 else part for index, part in enumerate(rest)]
        return "/".join(("/v1", *head, *shown))

    def _split(self, parts: tuple[str, ...]) -> tuple[Collection | None, tuple[str, ...]]:
        for length in (2, 1):
            kind = self._by_path.get(parts[:length])
            if kind is not None and len(parts) >= length:
                return kind, parts[length:]
        return None, parts[1:]
