"""Idempotency keys: the answer of a write is kept and given again to the same request."""

from dataclasses import dataclass

from springline.sandbox.stripe.answers import Answer
from springline.sandbox.stripe.errors import StripeError

KEPT_SECONDS = 24 * 3_600

Fingerprint = tuple[object, ...]


@dataclass(slots=True)
class _Kept:
    fingerprint: Fingerprint
    started_at: float
    answer: Answer | None = None


class IdempotentRequests:
    """The keys of one account."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def begin(self, key: str, fingerprint: Fingerprint, *, now: float) -> Answer | None:
        """The kept answer, or None: then the caller carries the request out and calls `keep`, if it did
        anything, and `drop_unanswered` in any case.

        Raises StripeError where the key is in use or was used for another request.
        """
        if len(key) > 255:
            raise StripeError("Idempotency key is too long: it can have at most 255 characters.")
        self._forget_before(now - KEPT_SECONDS)
        kept = self._kept.get(key)
        if kept is None:
            self._kept[key] = _Kept(fingerprint, now)
            return None
        if kept.answer is None:
            raise StripeError(
                "There is currently another in-progress request using this Idempotent Key (that probably "
                "means you submitted twice, and the other request is still going through): "
                f"{key}. Please try again later.",
                status=409,
                code="idempotency_key_in_use",
                kind="idempotency_error",
            )
        if kept.fingerprint != fingerprint:
            raise StripeError(
                "Keys for idempotent requests can only be used with the same parameters they were first used with.",
                kind="idempotency_error",
            )
        return kept.answer

    def keep(self, key: str, answer: Answer) -> None:
        self._kept[key].answer = answer

    def drop_unanswered(self, key: str) -> None:
        """A request that was refused, or never got to do anything, leaves its key free."""
        kept = self._kept.get(key)
        if kept is not None and kept.answer is None:
            del self._kept[key]

    def _forget_before(self, started_at: float) -> None:
        while self._kept:
            key, kept = next(iter(self._kept.items()))
            if kept.started_at >= started_at or kept.answer is None:
                return
            del self._kept[key]
