"""Partitions: one parent's share of a child collection. Parents are the records of our own store.

A collection without parents has one partition, `WHOLE`.
"""

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec

from springline.domain.errors import ProviderBroken
from springline.providers.record_readers import decode_tolerantly, field_at
from springline.providers.vocabulary import Collection, Provider, placeholders
from springline.store.records import RecordStore, StoredRecord

_PLACEHOLDER: Final = re.compile(r"\{([^}]*)\}")
#: What is known of an ancestor further up is looked at again after this.
_ANCESTOR_SECONDS: Final = 30.0
_MOST_ANCESTORS: Final = 1000


class Partition(NamedTuple):
    """One parent's share of a collection. `fields` are what paths name of its ancestors; `within` is the id that is put
    before those of its records, where they are unique only within an ancestor."""

    parent_no: int = 0
    parent_id: str = ""
    fields: Mapping[str, Any] = {}
    within: str | None = None


WHOLE: Final = Partition()


class ChangedParent(NamedTuple):
    """A version of a parent at its index. `partition` is None where it is gone."""

    idx: int
    record_no: int
    parent_id: str
    partition: Partition | None


class Lineage(NamedTuple):
    """The collections above one, the nearest first, each with its source's number and the fields that paths name."""

    collection: Collection
    sources: tuple[tuple[str, int], ...]

    @property
    def parent_source_no(self) -> int:
        return self.sources[0][1]


def lineage(provider: Provider, collection: Collection, source_nos: Mapping[str, int]) -> Lineage | None:
    """None where the collection has no parents, or a sync does not hold one of the collections above it."""
    above: list[tuple[str, int]] = []
    below = collection
    while below.parent is not None:
        name = below.parent.collection
        source_no = source_nos.get(name)
        if source_no is None:
            return None
        above.append((name, source_no))
        below = next(each for each in provider.collections if each.name == name)
    return Lineage(collection, tuple(above)) if above else None


class Partitions:
    """The partitions of a stream's child collections."""

    def __init__(self, stored: RecordStore, provider: Provider, *, stream_no: int) -> None:
        self._stored = stored
        self._stream_no = stream_no
        self._wanted = _wanted_fields(provider)
        self._ancestors: dict[int, tuple[float, StoredRecord | None]] = {}

    async def live(self, of: Lineage, *, after: str, limit: int) -> list[Partition]:
        """Those of live parents, by the parent's upstream id, above one."""
        rows = await self._stored.list_parents(self._stream_no, of.parent_source_no, after=after, limit=limit)
        return [await self._partition(of, row) for row in rows]

    async def changes(self, of: Lineage, *, after_idx: int, limit: int) -> list[ChangedParent]:
        """Parents that were written above an index, in the order of the stream."""
        rows = await self._stored.list_parent_changes(
            self._stream_no, of.parent_source_no, after_idx=after_idx, limit=limit
        )
        return [
            ChangedParent(
                change.record.idx,
                change.record.record_no,
                change.record.upstream_id,
                None if change.is_gone else await self._partition(of, change.record),
            )
            for change in rows
        ]

    async def get(self, of: Lineage, parent_no: int) -> Partition | None:
        """None: the parent is gone."""
        row = await self._stored.get_parent(self._stream_no, parent_no)
        return None if row is None else await self._partition(of, row)

    async def find(self, of: Lineage, parent_ids: Iterable[str]) -> dict[str, Partition]:
        """By the parents' upstream ids; those that are unknown or gone are left out."""
        known = await self._stored.describe_records(
            self._stream_no, of.parent_source_no, list(parent_ids), with_deleted=False
        )
        return {parent_id: await self._partition(of, row) for parent_id, row in known.items()}

    def forget(self, parent_no: int) -> None:
        """What is known of an ancestor may be wrong."""
        self._ancestors.pop(parent_no, None)

    async def _partition(self, of: Lineage, parent: StoredRecord) -> Partition:
        fields: dict[str, Any] = {}
        within: str | None = None
        row: StoredRecord | None = parent
        for level, (name, _) in enumerate(of.sources):
            if row is None:
                break
            document = decode_record(row.data)
            for path in self._wanted.get(name, ()):
                fields[f"{name}.{path}"] = field_at(document, path)
            fields[f"{name}.id"] = fields.get(f"{name}.id") or row.upstream_id
            if of.collection.within == name:
                within = row.upstream_id
            if level + 1 < len(of.sources):
                row = await self._ancestor(row.parent_no)
        return Partition(parent.record_no, parent.upstream_id, fields, within)

    async def _ancestor(self, record_no: int) -> StoredRecord | None:
        now = time.monotonic()
        known = self._ancestors.get(record_no)
        if known is not None and known[0] > now:
            return known[1]
        if len(self._ancestors) >= _MOST_ANCESTORS:
            self._ancestors.clear()
        row = await self._stored.get_parent(self._stream_no, record_no)
        self._ancestors[record_no] = (now + _ANCESTOR_SECONDS, row)
        return row


def fill(
    template: str, *, fields: Mapping[str, Any], upstream_id: str = "", record: Any = None, quoted: bool = True
) -> str:
    """A path from its template, each value percent-encoded; or the value of a query parameter, which is encoded when it
    is sent (`quoted` False). Raises ProviderBroken where a field that it names is not there."""

    def value_of(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "id":
            value: Any = upstream_id
        elif name.startswith("record."):
            value = field_at(record, name.removeprefix("record."))
        else:
            value = fields.get(name)
        if value is None or isinstance(value, dict | list):
            raise ProviderBroken(f"gave an object without the {name} that is needed to ask for more of it")
        return quote(str(value), safe="") if quoted else str(value)

    return _PLACEHOLDER.sub(value_of, template)


def names_record_fields(template: str) -> bool:
    """Whether a path can be made only of a record that is stored."""
    return any(name != "id" for name in placeholders(template))


def _wanted_fields(provider: Provider) -> dict[str, set[str]]:
    """By collection: the fields that paths of any collection name of it."""
    wanted: dict[str, set[str]] = {}
    for collection in provider.collections:
        listings = collection.listings
        paths = [listing.path for listing in listings]
        if collection.read is not None:
            paths.append(collection.read.path)
        templates = [*paths, *(value for listing in listings for _, value in listing.query)]
        for name in (name for template in templates for name in placeholders(template)):
            ancestor, _, field = name.partition(".")
            if field and ancestor not in ("record", "credential"):
                wanted.setdefault(ancestor, set()).add(field)
    return wanted


def decode_record(data: bytes) -> Any:
    """A document as Python objects, to look up what paths name of it."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return decode_tolerantly(data)
