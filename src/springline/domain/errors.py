"""Errors, named by what to do next, and the registry of public error codes.

SpringlineError
├── Refused           the caller must change the request: a public code and a status
├── OwnerUnavailable  whoever holds the credential's lease does not answer: ask again
└── ProviderError     what a provider answered
    ├── RetryLater        wait (as long as the provider says), then ask again
    ├── SlowDown          … and let the quota know
    ├── CredentialDead    ask for a new grant
    │   └── AppRefused        … mend the OAuth app
    ├── NotPermitted      leave this collection, go on with the others
    ├── NotFound          the id asked for is not there
    │   └── Moved             … but may be elsewhere: look up where its parent is now
    ├── CursorLost        the place in the list is gone: walk again
    ├── RequestRejected   the provider refuses this very request
    └── ProviderBroken    what it answers makes no sense
"""

from typing import Final

#: Every code that a client can meet, with its status. Codes are public and stable; messages are not.
ERROR_CODES: Final[dict[str, int]] = {
    "body.not_json": 400,
    "body.too_large": 413,
    "body.not_application_json": 415,
    "token.missing": 401,
    "token.unknown": 401,
    "token.not_found": 404,
    "route.not_found": 404,
    "route.method_not_allowed": 405,
    "stream.not_found": 404,
    "stream.slug_taken": 409,
    "stream.in_use": 409,
    "sync.not_found": 404,
    "sync.not_running": 409,
    "hold.not_found": 404,
    "hold.decided": 409,
    "credential.not_found": 404,
    "credential.in_use": 409,
    "credential.exists": 409,
    "credential.rejected": 422,
    "credential.unverified_replacement": 409,
    "oauth_app.not_found": 404,
    "oauth_app.in_use": 409,
    "consumer.not_found": 404,
    "consumer.too_many_receivers": 429,
    "record.not_found": 404,
    "record.unreadable": 409,
    "collection.not_found": 404,
    "provider.not_found": 404,
    "provider.nonsense": 502,
    "provider.timeout": 504,
    "request.invalid": 422,
    "service.unavailable": 503,
    "service.failed": 500,
}


class SpringlineError(Exception):
    """Base of all errors that are ours."""


class Refused(SpringlineError):
    """A request that cannot be carried out. `fields` maps each wrong field to sentences about it."""

    def __init__(self, code: str, message: str, *, fields: dict[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = ERROR_CODES[code]
        self.message = message
        self.fields = fields or {}


class OwnerUnavailable(SpringlineError):
    """Nobody holds the credential's lease, or its holder did not answer in time. The same may be asked again after
    `after_seconds`."""

    def __init__(self, message: str, *, after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class ProviderError(SpringlineError):
    """A provider's answer that is not what was asked for. `words` is what it said, without secrets."""

    def __init__(self, words: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.status = status
        self.request_id = request_id


class RetryLater(ProviderError):
    """A passing fault. `after_seconds` is the provider's own time, where it names one."""

    after_seconds: float | None = None


class SlowDown(RetryLater):
    """Too many requests."""


class CredentialDead(ProviderError):
    """The account no longer accepts this credential. `remedy` is a sentence on what to do. `is_doubtful`: a race or a
    replica that lags can produce this very answer; it is believed the second time (I8)."""

    remedy: str = "Replace its key."
    is_doubtful: bool = False


class AppRefused(CredentialDead):
    """It is the OAuth app's own id or secret that the provider refuses, not the account's grant."""

    remedy = "Give the OAuth app its present id and secret."


class NotPermitted(ProviderError):
    """The credential may not read this."""


class NotFound(ProviderError):
    """No object has this id (any more)."""


class Moved(NotFound):
    """What was asked for has another address: it, or what it belongs to, was renamed or given away. This alone proves
    no deletion. `location` is the new address, where the answer names one."""

    location: str | None = None


class CursorLost(ProviderError):
    """The object that the cursor names is gone."""


class RequestRejected(ProviderError):
    """The provider refuses the request as it is; `parameter` names the part at fault, where it says so."""

    parameter: str | None = None


class ProviderBroken(ProviderError):
    """Not the format that the provider's description promises."""
