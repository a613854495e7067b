"""The words of a provider's description about requests, their limits, and how a credential is let in."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from springline.domain.secrets import Secret

FieldType = Literal["string", "boolean", "integer", "strings"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a provider, before authentication. `path` starts with a slash; `query` keeps its order. `body` is
    sent as it is: its type stands in `headers`. `answers` are statuses besides 2xx that are an answer to it, not an
    error."""

    method: str = "GET"
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    answers: tuple[int, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's answer: `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """At most `allowed_requests` starts in any window of `interval` seconds; at most `max_concurrent_requests` at once,
    0: no such cap."""

    allowed_requests: int
    interval: float
    max_concurrent_requests: int = 0


class LimitWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A limit of the provider's own: at most `allowed_requests` units in any `interval` seconds, at most
    `max_concurrent_requests` requests at once; 0: no such limit.

    `path`: a regular expression that the whole path of a request matches if it draws on the limit; None: every request.
    Where it has groups, each method and each different text in them is an endpoint with a limit of its own; such a
    limit is at most 10 s long. `costs`: units by method, 1 for those that are not named. Answers with one of
    `uncounted_statuses` do not count. `shared_by_app`: the limit is the OAuth app's, over all of its credentials.
    """

    name: str
    allowed_requests: int = 0
    interval: float = 1.0
    max_concurrent_requests: int = 0
    path: str | None = None
    costs: tuple[tuple[str, int], ...] = ()
    uncounted_statuses: tuple[int, ...] = ()
    shared_by_app: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError that says what is wrong."""
        if self.allowed_requests < 0 or self.max_concurrent_requests < 0 or self.interval <= 0:
            raise ValueError(f"limit {self.name}: numbers must not be negative")
        if not self.allowed_requests and not self.max_concurrent_requests:
            raise ValueError(f"limit {self.name}: it limits nothing")
        if self.path is not None and re.compile(self.path).groups and self.interval > 10:
            raise ValueError(f"limit {self.name}: a limit of each endpoint is at most 10 s long")


class LimitReading(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says of one of the provider's limits; believed where it is stricter than our own count.

    `window` names a `LimitWindow`; None: the credential as a whole. `remaining` units are left, `reset_seconds` from
    now it is whole again, `allowed_requests` is its size. `is_exceeded`: this request was refused because of it;
    `after_seconds` is the provider's own time to wait, where it names one.
    """

    window: str | None = None
    remaining: int | None = None
    reset_seconds: float | None = None
    allowed_requests: int | None = None
    is_exceeded: bool = False
    after_seconds: float | None = None
    because: str = ""


class CredentialField(msgspec.Struct, frozen=True, kw_only=True):
    """One of a credential's properties. `aliases` are names that it had before."""

    name: str
    aliases: tuple[str, ...] = ()
    type: FieldType = "string"
    required: bool = False
    secret: bool = False
    description: str


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Whose data a credential opens. `identity` makes two imports the same credential; `label` is for people."""

    identity: str
    label: str | None = None


class Obtained(msgspec.Struct, frozen=True, kw_only=True):
    """An access token. `expires_at` is by the provider's clock; None: it does not expire. `rotated` are properties of
    the credential that were replaced with it: a refresh token that counts once."""

    access_token: Secret
    expires_at: datetime | None = None
    rotated: Mapping[str, Secret] = {}


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """How an access token is obtained, where a credential's properties open nothing by themselves (I8).

    `request` makes the request from the properties and from the OAuth app's fields (both in clear, empty without an
    app) and the time, which is the provider's: where its answers' `Date` shows that ours is wrong, it is asked again
    with the right one. `read` takes a 2xx answer and the provider's time; some APIs refuse with a 200, so it may raise.
    `classify` says what every other answer means. All speak in errors of `domain.errors`: CredentialDead
    (`is_doubtful` where a race can bring it about) and AppRefused end the grant, every other passes.
    `app_fields` are what it needs of an OAuth app. `base_url` is where tokens are given out, if that is not the API
    itself.
    """

    app_fields: tuple[str, ...] = ()
    request: Callable[[Mapping[str, Any], Mapping[str, Any], datetime], Request]
    read: Callable[[Answer, datetime], Obtained]
    classify: Callable[[Request, Answer], Exception]
    base_url: str | None = None


class OAuthAppFields(msgspec.Struct, frozen=True, kw_only=True):
    """What an OAuth app of a provider has beside its client id and secret. `stands_for_secret` are the fields that
    together make the client secret dispensable. `refuse` names a field that cannot be, and says why."""

    fields: tuple[CredentialField, ...]
    stands_for_secret: tuple[str, ...] = ()
    refuse: Callable[[Mapping[str, Any]], tuple[str, str] | None] = lambda fields: None


class CredentialKind(msgspec.Struct, frozen=True, kw_only=True):
    """One way to be let in.

    `headers` turns the properties (secrets in clear) into the request's headers. `check` is the cheapest request that
    a live credential can make; `identify` tells the account from its answer, or None where the answer does not say;
    `check_fallbacks` are tried in turn where an answer says "no such place" or "not permitted".
    `learn` reads properties from the answer that were left out: none of them secret.
    `account_of` tells it from the properties, where the provider does not. `data_set_of` names which of the account's
    data sets the credential opens, where it has several. `identity_of` adds to the identity what distinguishes keys of
    one account that can see different things.
    `rate_limit` is the allotment of a sync of such a credential; `limits` are the provider's own, on which all that is
    done with the credential draws. Without properties they are the strictest. `grant` says how its access token is
    obtained: `headers` then finds it among the properties, as `access_token`. `remedy` is a sentence on what to
    do when the API no longer lets the credential in.
    """

    name: str
    aliases: tuple[str, ...] = ()
    fields: tuple[CredentialField, ...]
    headers: Callable[[Mapping[str, Any]], Mapping[str, str]]
    check: Request
    check_fallbacks: tuple[Request, ...] = ()
    identify: Callable[[Answer], Account | None]
    learn: Callable[[Answer], Mapping[str, Any]] = lambda answer: {}
    account_of: Callable[[Mapping[str, Any]], str | None] = lambda properties: None
    data_set_of: Callable[[Mapping[str, Any]], str | None] = lambda properties: None
    identity_of: Callable[[Mapping[str, Any]], str | None]
    refuse: Callable[[Mapping[str, Any]], str | None] = lambda properties: None
    rate_limit: Callable[[Mapping[str, Any]], RateLimit]
    limits: Callable[[Mapping[str, Any]], tuple[LimitWindow, ...]] = lambda properties: ()
    grant: Grant | None = None
    remedy: str = "Replace its key."

    @property
    def app_fields(self) -> tuple[str, ...]:
        """What such a credential needs of an OAuth app; empty: it needs none."""
        return () if self.grant is None else self.grant.app_fields

    @property
    def needs_app(self) -> bool:
        """Whether such a credential works only with an OAuth app."""
        return bool(self.app_fields)

    @property
    def secret_names(self) -> frozenset[str]:
        return frozenset(field.name for field in self.fields if field.secret)
