"""The faults that only GitHub's sandbox knows, and the union of all."""

from typing import Literal

from springline.sandbox.common import faults
from springline.sandbox.common.faults import Fault


class RateLimitFault(Fault, frozen=True, kw_only=True, tag="rate_limit"):
    """GitHub says that a limit is reached: the hourly one (`primary`), or a `secondary` one.

    `retry_after` goes out as it stands, with a secondary refusal only where given; `reset_seconds` says how
    far ahead a primary one's window ends.
    """

    which: Literal["primary", "secondary"] = "primary"
    status: Literal[403, 429] = 403
    retry_after: str | None = None
    reset_seconds: float = 3600


class RepeatedPageFault(Fault, frozen=True, kw_only=True, tag="repeated_page"):
    """Lists name their own page as the next one."""


GithubFaults = faults.AnyFault | RateLimitFault | RepeatedPageFault
