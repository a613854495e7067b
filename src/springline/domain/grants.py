"""Access tokens that are obtained and renewed: when, and what a failure means (I8).

Times are seconds from now, by the database's clock: who decides has none of its own.
"""

from typing import Any, Final

import msgspec

from springline.domain.errors import CredentialDead, ProviderError, RetryLater

#: A token is renewed so long before its end, but never before half of its life is over.
RENEW_AHEAD_SECONDS: Final = 300.0
#: With less left than this a request may meet the end of its token on the way: another is obtained first.
COMFORTABLE_SECONDS: Final = 30.0
#: "The grant is gone" is believed when it is said so often in a row.
BELIEVED_AFTER: Final = 2
_LONGEST_PAUSE_SECONDS: Final = 60.0
#: Before a refusal is asked for the second time.
_SECOND_TIME_SECONDS: Final = 1.0


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why the last attempt failed, as it is kept for those who ask meanwhile. `words` are the provider's, without
    secrets."""

    words: str
    remedy: str = ""
    is_dead: bool = False

    def error(self, *, after_seconds: float) -> ProviderError:
        """What to raise to someone who comes before the next attempt."""
        if self.is_dead:
            dead = CredentialDead(self.words)
            dead.remedy = self.remedy
            return dead
        later = RetryLater(self.words)
        later.after_seconds = after_seconds
        return later


class Setback(msgspec.Struct, frozen=True, kw_only=True):
    """What follows on a failed attempt: nobody asks again before `retry_seconds`."""

    fault: Fault
    refusals: int
    retry_seconds: float

    def error(self) -> ProviderError:
        return self.fault.error(after_seconds=self.retry_seconds)


def renewal_seconds(lifetime_seconds: float) -> float:
    """How long after it was obtained a token is renewed."""
    return max(lifetime_seconds - RENEW_AHEAD_SECONDS, lifetime_seconds / 2)


def setback(error: ProviderError, *, refusals: int, failures: int) -> Setback:
    """What a failure means after so many refusals and failures of every kind in a row before it.

    Only the grant's own refusal ends it, and one that a race can produce only when it is repeated; whatever else
    was answered passes.
    """
    if isinstance(error, CredentialDead):
        refusals += 1
        if not error.is_doubtful or refusals >= BELIEVED_AFTER:
            fault = Fault(words=error.words, remedy=error.remedy, is_dead=True)
            return Setback(fault=fault, refusals=refusals, retry_seconds=_SECOND_TIME_SECONDS)
        return Setback(fault=Fault(words=error.words), refusals=refusals, retry_seconds=_SECOND_TIME_SECONDS)
    named = getattr(error, "after_seconds", None) or 0.0
    pause = max(named, min(_LONGEST_PAUSE_SECONDS, 0.5 * 2.0 ** min(failures, 8)))
    return Setback(fault=Fault(words=error.words), refusals=0, retry_seconds=pause)


def overlaid(properties: dict[str, Any], rotated: dict[str, str], access_token: str) -> dict[str, Any]:
    """A credential's properties as a request takes them: what has rotated since they were entered, and the token."""
    return {**properties, **rotated, "access_token": access_token}
