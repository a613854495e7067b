"""What a write takes: the JSON body, checked as GitHub checks it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from springline.sandbox.github.errors import GithubError, invalid

Params = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One field of a body: what it may be, in GitHub's words `a string`, `an integer`."""

    kind: str
    fits: Callable[[Any], bool]
    required: bool = False
    allowed: tuple[str, ...] = ()


def text(*, required: bool = False) -> Param:
    return Param(kind="a string", fits=lambda value: value is None or isinstance(value, str), required=required)


def word(*allowed: str, required: bool = False) -> Param:
    """One of these strings."""
    return Param(kind="a string", fits=lambda value: isinstance(value, str), required=required, allowed=allowed)


def integer(*, required: bool = False) -> Param:
    return Param(
        kind="an integer",
        fits=lambda value: value is None or (isinstance(value, int) and not isinstance(value, bool)),
        required=required,
    )


def boolean() -> Param:
    return Param(kind="a boolean", fits=lambda value: isinstance(value, bool))


def array(*, required: bool = False) -> Param:
    return Param(kind="an array", fits=lambda value: isinstance(value, list), required=required)


def mapping() -> Param:
    return Param(kind="an object", fits=lambda value: isinstance(value, dict))


def anything() -> Param:
    return Param(kind="anything", fits=lambda _: True)


def read_body(body: bytes) -> Any:
    """The body as JSON values; none is an empty object. Raises GithubError 400."""
    if not body.strip():
        return {}
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise GithubError("Problems parsing JSON", status=400) from None


def read_params(body: Any, takes: Mapping[str, Param], *, resource: str) -> Params:
    """The fields that the write takes; others are ignored, as GitHub does. Raises GithubError."""
    if not isinstance(body, dict):
        raise GithubError("Body should be a JSON object", status=400)
    params: Params = {}
    for name, param in takes.items():
        if name not in body:
            if param.required:
                raise GithubError(f'Invalid request.\n\n"{name}" wasn\'t supplied.')
            continue
        value = body[name]
        if param.required and value in (None, ""):
            raise invalid(resource, name, code="missing_field")
        if not param.fits(value):
            raise GithubError(f"Invalid request.\n\nFor 'properties/{name}', {json.dumps(value)} is not {param.kind}.")
        if param.allowed and value not in param.allowed:
            raise invalid(resource, name)
        params[name] = value
    return params
