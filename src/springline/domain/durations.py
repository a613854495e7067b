"""Durations as people write them: `90m`, `4h`, `7d`."""

import re
from datetime import timedelta
from typing import Final

#: How a duration is written, as a JSON Schema pattern.
DURATION: Final = r"^[1-9][0-9]{0,5}[mhd]$(?!\n)"
#: Longer ones are refused.
LONGEST: Final = timedelta(days=3650)

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def parse_duration(text: str) -> timedelta | None:
    """The duration that `<n>m`, `<n>h` or `<n>d` names; None for anything else, and for more than ten years."""
    if not re.match(DURATION, text):
        return None
    duration = int(text[:-1]) * _UNITS[text[-1]]
    return duration if duration <= LONGEST else None
