"""Reading one record again, over HTTP."""

from starlette.responses import Response

from springline.api.bodies import Nothing
from springline.api.records import RecordObject, find_record
from springline.api.routing import Call, Route
from springline.domain.errors import OwnerUnavailable, Refused
from springline.engine.refreshes import RefreshQuestion


async def refresh_record(call: Call[Nothing, Nothing]) -> Response:
    """Read a record again at its provider, at once, and answer it as it is then.

    What has changed is delivered as usual. A record that is gone is answered as deleted.
    """
    found = await find_record(call)
    stream_no, stream_id = found.place.stream_no, found.place.stream_id
    row = await call.services.records.current_version(stream_no, found.record_no)
    if row is None:
        raise call.not_found("record")
    source = (await call.services.records.describe_sources(stream_no, [row["source_no"]])).get(row["source_no"])
    sync = None if source is None else await call.services.syncs.get(call.org_id, source.sync_id)
    if source is None or sync is None:
        raise Refused("sync.not_running", "the sync that this record comes from was deleted")
    if sync.status != "active":
        raise Refused("sync.not_running", f"the sync {sync.name!r} is disabled; set its status to `active`")
    question = RefreshQuestion(sync.sync_no, source.collection_id, row["upstream_id"])
    try:
        done = await call.services.refresh(sync.credential_no, question)
    except OwnerUnavailable as error:
        raise Refused("service.unavailable", str(error)) from None
    if done.outcome == "not_running":
        raise Refused("sync.not_running", "no worker has taken up this collection of the sync yet; try again")
    if done.outcome == "unreadable":
        raise Refused("record.unreadable", f"{source.provider} has no way to read one record of {source.collection_id}")
    if done.outcome == "failed":
        raise Refused("provider.nonsense", f"{source.provider}: {done.words}")
    row = await call.services.records.current_version(stream_no, found.record_no)
    if row is None:
        raise call.not_found("record")
    records = await call.services.encoder.encode(stream_no, stream_id, [row])
    return Response(records[0], media_type="application/json", headers={"Cache-Control": "no-store"})


routes = (
    Route(
        "POST",
        "/v1/records/{id}/refresh",
        refresh_record,
        answers=RecordObject,
        refuses=("sync.not_running", "record.unreadable", "provider.nonsense"),
    ),
)
