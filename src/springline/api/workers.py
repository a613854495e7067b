"""Workers over HTTP: who runs the syncs."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from springline.api.bodies import Nothing
from springline.api.lists import Listed
from springline.api.routing import Call, Route, answer
from springline.store.leases import Process, WorkerState


class WorkerObject(msgspec.Struct, frozen=True, kw_only=True):
    """A process that runs syncs. `credentials` and `syncs` count those of your organisation alone."""

    number: Annotated[int, Meta(description="A new one each time that it registers.")]
    status: Annotated[str, Meta(description="`live`, or `lost`: its lease has run out.")]
    host: str
    process_id: int | None
    process_started_at: datetime | None
    since: Annotated[datetime, Meta(description="When it registered.")]
    lease_until: datetime
    credentials: Annotated[int, Meta(description="Credentials of your organisation that it holds.")]
    syncs: Annotated[int, Meta(description="Active syncs of these.")]
    is_this_process: Annotated[bool, Meta(description="Whether it runs in the process that answers.")]


async def list_workers(call: Call[Nothing, Nothing]) -> Response:
    """List workers, also those lost in the last hour. Of what they hold, your organisation's part is counted."""
    workers = await call.services.leases.list_workers(call.org_id)
    shown = [worker_object(worker, this_process=call.services.process) for worker in workers]
    return answer(Listed(data=shown, next_cursor=None))


def worker_object(worker: WorkerState, *, this_process: Process) -> WorkerObject:
    """A worker as it is answered."""
    pid = worker.process.process_start.partition(":")[0]
    return WorkerObject(
        number=worker.worker_no,
        status="live" if worker.lives else "lost",
        host=worker.process.host,
        process_id=int(pid) if pid.isdigit() else None,
        process_started_at=worker.process.started_at,
        since=worker.since,
        lease_until=worker.lease_until,
        credentials=worker.credentials,
        syncs=worker.syncs,
        is_this_process=worker.process.is_same(this_process),
    )


routes = (Route("GET", "/v1/workers", list_workers, answers=Listed[WorkerObject]),)
