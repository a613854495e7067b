"""Reading a stream without a consumer: the reader keeps the cursor, which belongs to its filters."""

import base64
import struct
import uuid
from typing import Annotated, Any, Final, NamedTuple

import xxhash
from msgspec import UNSET, Meta, UnsetType

from springline.api.bodies import Body
from springline.api.routing import Call
from springline.store.records import StreamPlace

_CURSOR: Final = struct.Struct(">QQ")


class StreamQuery(Body):
    """What every reading takes."""

    stream_id: uuid.UUID
    sync_id: uuid.UUID | UnsetType = UNSET
    collection_id: str | UnsetType = UNSET
    after_cursor: (
        Annotated[str, Meta(max_length=64, description="The `cursor` of the answer before, with the same filters.")]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many at most.")] = 1000


class Reading(NamedTuple):
    """Where a reading stands, and what passes its filters (`source_nos` None: everything)."""

    place: StreamPlace
    after_idx: int
    filters: int
    source_nos: list[int] | None

    def cursor(self, reached_idx: int) -> bytes:
        """Where to go on, in the form that is given out."""
        return base64.urlsafe_b64encode(_CURSOR.pack(reached_idx, self.filters)).rstrip(b"=")


async def begin_reading(call: Call[Any, Any], *, what: str = "") -> Reading:
    """Checks the query (a StreamQuery). Raises Refused (422) with everything that is wrong. A cursor of another
    endpoint (`what`) is that of other filters."""
    draft = call.query_draft
    store = call.services.records
    stream_id = draft.get("stream_id")
    sync_id = draft.get("sync_id")
    place = None
    if isinstance(stream_id, uuid.UUID):
        place = await store.stream(call.org_id, stream_id)
        if place is None:
            call.problems.add("stream_id", f"there is no stream {stream_id}")
    if isinstance(sync_id, uuid.UUID) and not await store.sync_exists(call.org_id, sync_id):
        call.problems.add("sync_id", f"there is no sync {sync_id}")
    after_idx = 0
    filters = _filters_print(draft, what)
    if isinstance(draft.get("after_cursor"), str):
        cursor = _decode_cursor(draft["after_cursor"])
        if cursor is None:
            call.problems.add("after_cursor", "is no cursor that this endpoint gave out")
        elif cursor[1] != filters:
            call.problems.add("after_cursor", "belongs to other filters; begin without one, or use the same filters")
        else:
            after_idx = cursor[0]
    query: StreamQuery = call.query
    assert place is not None
    source_nos = None
    if query.sync_id is not UNSET or query.collection_id is not UNSET:
        source_nos = await store.find_sources(
            place.stream_no,
            sync_id=query.sync_id if isinstance(query.sync_id, uuid.UUID) else None,
            collection_id=query.collection_id if isinstance(query.collection_id, str) else None,
        )
    return Reading(place, after_idx, filters, source_nos)


def _filters_print(draft: dict[str, Any], what: str) -> int:
    text = "\0".join(str(draft.get(name, "")) for name in ("stream_id", "sync_id", "collection_id"))
    return xxhash.xxh3_64_intdigest((text + what).encode())


def _decode_cursor(text: str) -> tuple[int, int] | None:
    """(index, print of the filters); None for what is no cursor of ours."""
    try:
        idx, filters = _CURSOR.unpack(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, struct.error):
        return None
    return (idx, filters) if idx < 2**63 else None
