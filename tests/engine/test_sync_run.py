"""A sync's own plan: what is due when."""

import time
from typing import Any

import pytest
from tests.support.driven import working
from tests.support.made import Maker
from tests.support.stripe_side import StripeSide

from springline.store.database import Database


async def test_what_comes_up_while_a_work_ends_is_not_lost(
    side: StripeSide, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parent changes when its children have just been followed, and their work is not over yet."""
    await side.seed("invoice", 3)
    made = await Maker(database).sync("stripe:invoice", "stripe:invoice_line_item", epoch=0)
    async with working(database, side) as work:
        await work.until_backfilled(made)
        ((_, run),) = work.worker._runs.values()
        write = run._observations.write

        async def invoices_change_meanwhile(**seen: Any) -> None:
            run._follow_up(run.session.collections["stripe:invoice"])
            await write(**seen)

        monkeypatch.setattr(run._observations, "write", invoices_change_meanwhile)
        lines = run._work("backfill:stripe:invoice_line_item")
        assert lines.task is None
        lines.due_at = time.monotonic()
        run.start_due(time.monotonic())
        following = run._work("backfill:stripe:invoice_line_item").task
        assert following is not None
        await following
        monkeypatch.undo()
        assert lines.task is not None or lines.due_at - time.monotonic() < 5
