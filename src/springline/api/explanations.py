"""Why a sync is where it is, over HTTP."""

import uuid
from datetime import datetime

import msgspec
from starlette.responses import Response

from springline.api.bodies import Nothing
from springline.api.routing import Call, Route, answer
from springline.engine.activities import Activity, Doing, QuotaUse, Reason, Waiting
from springline.engine.explain import SyncExplanation
from springline.engine.request_log import RequestMade


class CollectionExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """What one collection does (`doing`) or waits for (`waiting_for`: null if for nothing but its next turn), since
    when and until when, as far as that is known. `says` is for people; `also` is what it waits for besides."""

    doing: Doing
    waiting_for: Reason | None
    since: datetime | None
    until: datetime | None
    says: str
    also: tuple[Waiting, ...]


class ExplanationObject(msgspec.Struct, frozen=True, kw_only=True):
    """Why a sync is where it is. `worker`: the number of the worker that holds its credential's lease. `requests`: the
    last 200, newest first, and `quota`, what the running window holds, are known to the worker that runs it: they are
    empty and null where that one could not be asked."""

    sync_id: uuid.UUID
    as_of: datetime
    worker: int | None
    collections: dict[str, CollectionExplanation]
    quota: QuotaUse | None
    requests: list[RequestMade]


async def explain_sync(call: Call[Nothing, Nothing]) -> Response:
    """Say what a sync does or waits for, and show its last requests and the use of its quota."""
    sync = await call.services.syncs.get(call.org_id, call.path_id("sync"))
    if sync is None:
        raise call.not_found("sync")
    explained = await call.services.explainer.explain(sync)
    return answer(explanation_object(explained), headers={"Cache-Control": "no-store"})


def explanation_object(explained: SyncExplanation) -> ExplanationObject:
    """An explanation as it is answered."""
    return ExplanationObject(
        sync_id=explained.sync_id,
        as_of=explained.as_of,
        worker=explained.worker_no,
        collections={name: _collection(activity) for name, activity in explained.collections.items()},
        quota=explained.quota,
        requests=explained.requests,
    )


def _collection(activity: Activity) -> CollectionExplanation:
    if not activity.waits:
        return CollectionExplanation(
            doing=activity.doing,
            waiting_for=None,
            since=activity.since,
            until=activity.until,
            says=activity.says,
            also=(),
        )
    first, *others = activity.waits
    return CollectionExplanation(
        doing=activity.doing,
        waiting_for=first.waiting_for,
        since=first.since,
        until=first.until,
        says=first.says,
        also=tuple(others),
    )


routes = (Route("GET", "/v1/syncs/{id}/explain", explain_sync, answers=ExplanationObject),)
