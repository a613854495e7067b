"""What can go wrong between a client and the API.

ClientError
├── ApiError        the API refused the request, and says why
├── Unreachable     no answer: the request may or may not have been carried out
└── NotSpringline   something else answers at this address
"""

from collections.abc import Mapping, Sequence

import msgspec


class ClientError(Exception):
    """Base of all errors of the client. The message is a sentence that a person can act on."""


class ApiError(ClientError):
    """The API's own error. `code` is stable, `message` is for people; `fields` says what is wrong with each field."""

    def __init__(
        self,
        *,
        status: int,
        code: str,
        message: str,
        fields: Mapping[str, Sequence[str]] | None = None,
        docs: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = dict(fields or {})
        self.docs = tuple(docs)


class Unreachable(ClientError):
    """The server could not be reached, or the connection broke before the whole answer was there."""

    def __init__(self, base_url: str, reason: str) -> None:
        super().__init__(f"cannot reach Springline at {base_url}: {reason}")
        self.base_url = base_url
        self.reason = reason


class NotSpringline(ClientError):
    """The answer has not the shape of any of Springline's."""


class ErrorBody(msgspec.Struct):
    """An error as the API words it."""

    error: str
    code: str
    fields: dict[str, list[str]] = {}
    docs: list[str] = []
