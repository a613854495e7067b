"""Holds over HTTP: what was kept back for a reason, until someone decides."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from springline.api.bodies import Body, Nothing, or_none
from springline.api.errors import refused_field
from springline.api.lists import Listed, ListQuery, page
from springline.api.routing import Call, Route, answer
from springline.domain.errors import Refused
from springline.domain.syncs import Sync
from springline.store.holds import SAMPLE_BYTES, Hold, Kind, Status


class ListHolds(ListQuery):
    status: (
        Annotated[Status, Meta(description="Only those of which this has become; `held`: to be decided.")] | UnsetType
    ) = UNSET


class DecideHold(Body):
    action: Annotated[
        Literal["apply", "discard"],
        Meta(description="`apply`: let it happen after all (deletions). `discard`: forget it; nothing happens."),
    ]


class HoldObject(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was kept back. `kind`: a piece of a page that cannot be kept (`record`), a page that cannot be
    written (`page`), or deletions that were stopped since they are too many at once (`deletion`). `count`: records
    concerned. `sample`: the beginning of what is held (of `size` bytes), as text."""

    id: uuid.UUID
    sync_id: uuid.UUID
    collection_id: str | None
    kind: Kind
    status: Status
    reason: str
    count: int
    since: datetime
    decided_at: datetime | None
    size: int
    sample: Annotated[str, Meta(description=f"At most {SAMPLE_BYTES} bytes of it; what is no UTF-8 is replaced.")]


async def list_holds(call: Call[Nothing, ListHolds]) -> Response:
    """List what was kept back of a sync: records, pages and deletions, each with the reason."""
    sync = await _sync(call)
    query = call.query
    rows = await call.services.holds.list(
        sync.stream_no, sync.sync_no, status=or_none(query.status), after=query.after, limit=query.limit + 1
    )
    return answer(page(rows, query.limit, key=lambda hold: hold.hold_id, show=lambda hold: hold_object(sync, hold)))


async def decide_hold(call: Call[DecideHold, Nothing]) -> Response:
    """Decide a hold: `apply` deletions that were stopped, or `discard` what is held.

    A record or a page can only be discarded: it is the API's own object that has to be mended, and is then read again.
    """
    sync = await _sync(call)
    hold_id = call.path_id("hold", "hold_id")
    hold = await call.services.holds.get(sync.stream_no, sync.sync_no, hold_id)
    if hold is None:
        raise call.not_found("hold", "hold_id")
    action = call.body.action
    if action == "apply" and hold.kind != "deletion":
        raise refused_field(
            "action",
            f"cannot be `apply` for a {hold.kind}: it cannot be kept as it is. Mend the object in the API, and it is "
            "read again by itself; `discard` forgets this hold",
        )
    decided = await call.services.holds.decide(
        sync.stream_no, sync.sync_no, hold_id, "applied" if action == "apply" else "discarded"
    )
    if not decided:
        raise Refused("hold.decided", f"this hold is {hold.status} already; it cannot be decided twice")
    call.services.wake_syncs()
    hold = await call.services.holds.get(sync.stream_no, sync.sync_no, hold_id)
    if hold is None:
        raise call.not_found("hold", "hold_id")
    return answer(hold_object(sync, hold))


def hold_object(sync: Sync, hold: Hold) -> HoldObject:
    """A hold as it is answered."""
    return HoldObject(
        id=hold.hold_id,
        sync_id=sync.sync_id,
        collection_id=hold.collection_id,
        kind=hold.kind,
        status=hold.status,
        reason=hold.reason,
        count=hold.count,
        since=hold.since,
        decided_at=hold.decided_at,
        size=hold.size,
        sample=hold.sample.decode("utf-8", "replace"),
    )


async def _sync(call: Call[Any, Any]) -> Sync:
    sync = await call.services.syncs.get(call.org_id, call.path_id("sync"))
    if sync is None:
        raise call.not_found("sync")
    return sync


routes = (
    Route("GET", "/v1/syncs/{id}/holds", list_holds, answers=Listed[HoldObject]),
    Route(
        "POST",
        "/v1/syncs/{id}/holds/{hold_id}",
        decide_hold,
        answers=HoldObject,
        refuses=("hold.not_found", "hold.decided"),
    ),
)
