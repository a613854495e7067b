"""Backfills over HTTP: reading collections anew, and how far that has come."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from springline.api.bodies import Body, Nothing
from springline.api.lists import Listed
from springline.api.routing import Call, Route, answer, created
from springline.api.values import nearest_collection
from springline.domain.checkpoints import BackfillState, decode
from springline.domain.syncs import Sync
from springline.store.syncs import StoredBackfill


class StartBackfill(Body):
    collection_ids: (
        Annotated[
            list[str],
            Meta(min_length=1, max_length=1000, description="Only these of the sync's collections; default: all."),
        ]
        | UnsetType
    ) = UNSET


class BackfillObject(msgspec.Struct, frozen=True, kw_only=True):
    """The newest backfill of one collection. `number` grows with each; `records`: read so far; `updated_at`: when it
    was last saved how far it has come."""

    collection_id: str
    number: int
    status: Literal["waiting", "running", "completed"]
    records: int
    updated_at: datetime | None


async def start_backfill(call: Call[StartBackfill, Nothing]) -> Response:
    """Read collections of a sync anew, from the start. Their records stay; what is found unchanged is not delivered."""
    sync = await _sync(call)
    given = call.draft.get("collection_ids")
    for each in given or ():
        if each not in sync.collection_ids:
            hint = nearest_collection(each, sync.collection_ids)
            call.problems.add("collection_ids", f"holds `{each}`, which is no collection of this sync{hint}")
    call.problems.raise_if_any()
    collection_ids = sync.collection_ids if given is None else list(dict.fromkeys(given))
    if not await call.services.syncs.start_backfills(call.org_id, sync.sync_id, collection_ids):
        raise call.not_found("sync")
    call.services.wake_syncs()
    return created(await _listed(call, sync), f"/v1/syncs/{sync.sync_id}/backfills")


async def list_backfills(call: Call[Nothing, Nothing]) -> Response:
    """List the newest backfill of each collection of a sync, and how far it has come."""
    return answer(await _listed(call, await _sync(call)))


async def _listed(call: Call[Any, Any], sync: Sync) -> Listed[BackfillObject]:
    stored = await call.services.syncs.list_backfills(sync.stream_no, sync.sync_no)
    shown = {each.collection_id: _backfill(each) for each in stored}
    return Listed(data=[shown[each] for each in sync.collection_ids if each in shown], next_cursor=None)


def _backfill(stored: StoredBackfill) -> BackfillObject:
    state = decode(stored.state, BackfillState)
    status: Literal["waiting", "running", "completed"] = "waiting"
    if state is not None:
        status = "completed" if state.done else "running"
    return BackfillObject(
        collection_id=stored.collection_id,
        number=stored.generation + 1,
        status=status,
        records=state.records if state is not None else 0,
        updated_at=stored.updated_at,
    )


async def _sync(call: Call[Any, Any]) -> Sync:
    sync = await call.services.syncs.get(call.org_id, call.path_id("sync"))
    if sync is None:
        raise call.not_found("sync")
    return sync


routes = (
    Route("POST", "/v1/syncs/{id}/backfills", start_backfill, answers=Listed[BackfillObject], status=201),
    Route("GET", "/v1/syncs/{id}/backfills", list_backfills, answers=Listed[BackfillObject]),
)
