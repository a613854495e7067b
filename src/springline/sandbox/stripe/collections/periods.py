"""Billing periods: Unix seconds moved by days, weeks, months and years of the calendar."""

from calendar import monthrange
from datetime import UTC, datetime


def period_end(start: int, *, interval: str, count: int) -> int:
    """`start` plus `count` intervals; the 31st becomes a shorter month's last day."""
    if interval in {"day", "week"}:
        return start + count * (86_400 if interval == "day" else 7 * 86_400)
    at = datetime.fromtimestamp(start, tz=UTC)
    months = at.year * 12 + at.month - 1 + count * (12 if interval == "year" else 1)
    year, month = months // 12, months % 12 + 1
    return int(at.replace(year=year, month=month, day=min(at.day, monthrange(year, month)[1])).timestamp())
