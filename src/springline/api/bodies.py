"""Bodies and query parameters: the types that OpenAPI shows are the types that validate.

What is right is decoded in one step. What is wrong is walked through field by field, so that every wrong field is named
at once, with the nearest known name for one that does not exist.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Generic, NoReturn, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta, UnsetType, inspect

from springline.api.errors import Problems
from springline.api.fields import Field, alternatives, fields_of
from springline.api.phrases import phrase
from springline.api.values import metadata_fault, nearest, printable, text_fault
from springline.domain.errors import Refused

#: Larger bodies are refused.
BODY_BYTES: Final = 8 * 1024 * 1024

_MOST_PARAMETERS = 100
_WRONG: Final = object()


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The base of every body and every set of query parameters.

    `renamed` maps names that were documented once to the present ones (dotted: inside an object). `ignored` are such
    names without a meaning now, each with the one value that may be ignored (`...`: any). `refused` maps names that
    cannot be given here to the end of a sentence that says why.
    """

    renamed: ClassVar[Mapping[str, str]] = {}
    ignored: ClassVar[Mapping[str, Any]] = {}
    refused: ClassVar[Mapping[str, str]] = {}


class Nothing(Body):
    """No field at all."""


#: A free JSON object that rides along.
Metadata = Annotated[
    dict[str, Any],
    Meta(
        description="A free JSON object of at most 16 KiB.",
        extra={"says": "an object of at most 16 KiB and 64 levels", "metadata": True},
    ),
]

B = TypeVar("B", bound=Body)
S = TypeVar("S", bound=msgspec.Struct)
V = TypeVar("V")


class Examined(Generic[B]):
    """What was made of a body or of query parameters.

    `draft` holds the fields that are right, by name (objects inside are drafts too): checks that go on from there need
    not wait for the others. `warnings` are sentences for the client.
    """

    def __init__(self) -> None:
        self.value: B | None = None
        self.draft: dict[str, Any] = {}
        self.problems = Problems()
        self.warnings: list[str] = []


def examine_body(raw: bytes, body_type: type[B]) -> Examined[B]:
    """Raises Refused (400) if the body is not JSON."""
    examined: Examined[B] = Examined()
    if not raw.strip():
        if any(field.required for field in msgspec.structs.fields(body_type)):
            raise Refused("body.not_json", "the body is empty; send a JSON object")
        raw = b"{}"
    try:
        # An escaped U+0000 is looked for in the bytes: what looks like one is walked through.
        value = None if b"\\u0000" in raw else msgspec.json.decode(raw, type=body_type)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = None
    if value is not None and _free_objects_are_fine(value):
        examined.value = value
        examined.draft = _as_draft(value)
        return examined
    try:
        loose = _decode_anything(raw)
    except RecursionError:
        examined.problems.add("body", "is nested too deeply")
        return examined
    if not isinstance(loose, dict):
        examined.problems.add("body", "must be an object")
        return examined
    return _examine(examined, loose, body_type, lax=False)


def examine_query(query_string: bytes, query_type: type[B]) -> Examined[B]:
    """Query parameters; a list's may be repeated, an object's is JSON."""
    examined: Examined[B] = Examined()
    if not query_string:
        pairs = []
    else:
        try:
            pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
        except ValueError:
            examined.problems.add("query", f"has more than {_MOST_PARAMETERS} parameters")
            return examined
    given: dict[str, Any] = {}
    fields = fields_of(query_type)
    for name, text in pairs:
        kind = fields[name].kind if name in fields else "value"
        if kind == "list":
            given.setdefault(name, []).append(text)
        elif name in given:
            examined.problems.add(printable(name), "is given more than once")
        elif kind == "object":
            given[name] = _decode_parameter(text)
        else:
            given[name] = text
    return _examine(examined, given, query_type, lax=True)


def _examine(examined: Examined[B], given: dict[str, Any], body_type: type[B], *, lax: bool) -> Examined[B]:
    examined.draft = _examine_object(given, body_type, "", examined, lax=lax)
    if not examined.problems:
        examined.value = _build(body_type, examined.draft)
    return examined


def _examine_object(
    given: Mapping[str, Any], body_type: type[msgspec.Struct], path: str, examined: Examined[Any], *, lax: bool
) -> dict[str, Any]:
    given = _rename(given, body_type, path, examined)
    fields = fields_of(body_type)
    for name in given:
        if name not in fields:
            _unknown(name, given[name], body_type, path, examined)
    draft = {}
    for name, field in fields.items():
        if name in given:
            value = _examine_value(given[name], field, path + name, examined, lax=lax)
            if value is not _WRONG:
                draft[field.name] = value
        elif field.required:
            examined.problems.add(path + name, "is required")
        else:
            default = field.default()
            if default is not msgspec.UNSET:
                draft[field.name] = _as_draft(default) if isinstance(default, msgspec.Struct) else default
    return draft


def _examine_value(value: Any, field: Field, path: str, examined: Examined[Any], *, lax: bool) -> Any:
    if field.struct is not None and isinstance(value, dict):
        return _examine_object(value, field.struct, path + ".", examined, lax=lax)
    fault = None if field.checked_later else text_fault(value)
    if fault is not None:
        examined.problems.add(path, fault)
        return _WRONG
    try:
        converted = msgspec.convert(value, field.annotation, strict=not lax)
    except (msgspec.ValidationError, RecursionError):
        examined.problems.add(path, f"must be {phrase(field.info)}{_hint(value, field.info)}")
        return _WRONG
    if field.is_metadata and isinstance(converted, dict):
        fault = metadata_fault(converted)
        if fault is not None:
            examined.problems.add(path, fault)
            return _WRONG
    return converted


def _rename(
    given: Mapping[str, Any], body_type: type[msgspec.Struct], path: str, examined: Examined[Any]
) -> Mapping[str, Any]:
    renamed: Mapping[str, str] = getattr(body_type, "renamed", {})
    found = [name for name in given if name in renamed]
    if not found:
        return given
    result = {name: value for name, value in given.items() if name not in renamed}
    for name in found:
        target, _, inner = renamed[name].partition(".")
        if not inner and target not in result:
            result[target] = given[name]
        elif inner and isinstance(result.get(target, {}), dict) and inner not in result.get(target, {}):
            result[target] = {**result.get(target, {}), inner: given[name]}
        else:
            examined.problems.add(path + name, f"is the older name of `{renamed[name]}`: give one of the two")
    return result


def _unknown(name: str, value: Any, body_type: type[msgspec.Struct], path: str, examined: Examined[Any]) -> None:
    ignored: Mapping[str, Any] = getattr(body_type, "ignored", {})
    if name in ignored:
        if ignored[name] in {..., value} if isinstance(value, str) else ignored[name] is ...:
            examined.warnings.append(f"{path}{name} is no longer used and was ignored")
        else:
            examined.problems.add(path + name, "has no meaning any more; leave it out")
        return
    refused: Mapping[str, str] = getattr(body_type, "refused", {})
    if name in refused:
        examined.problems.add(path + name, refused[name])
        return
    examined.problems.add(path + printable(name), "is unknown" + nearest(name, fields_of(body_type)))


def given_fields(body: Body) -> dict[str, Any]:
    """The fields of a partial update that were given."""
    return {name: value for name, value in msgspec.structs.asdict(body).items() if value is not msgspec.UNSET}


def or_none(value: V | UnsetType) -> V | None:
    """A value, or None where it was left out."""
    return None if isinstance(value, UnsetType) else value


def _decode_anything(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    # The standard library also reads lone surrogates and numbers out of range: those are named, not called no JSON.
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_no_constant, parse_int=_whole_number)
    except UnicodeDecodeError:
        raise Refused("body.not_json", "the body is not UTF-8") from None
    except ValueError as error:
        raise Refused("body.not_json", f"the body is not JSON: {error}") from None


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _whole_number(text: str) -> int | float:
    return int(text) if len(text) < 400 else float("inf")


def _decode_parameter(text: str) -> Any:
    try:
        return _decode_anything(text.encode("utf-8", "surrogatepass"))
    except (Refused, RecursionError):
        return text


def _hint(value: Any, info: inspect.Type) -> str:
    if isinstance(value, str):
        for part in alternatives(info):
            if isinstance(part, inspect.LiteralType):
                return nearest(value, [str(each) for each in part.values])
    return ""


def _free_objects_are_fine(value: msgspec.Struct) -> bool:
    for field in fields_of(type(value)).values():
        inner = getattr(value, field.name)
        if field.is_metadata and isinstance(inner, dict) and (metadata_fault(inner) or text_fault(inner)):
            return False
        if isinstance(inner, msgspec.Struct) and not _free_objects_are_fine(inner):
            return False
    return True


def _as_draft(value: msgspec.Struct) -> dict[str, Any]:
    draft = {}
    for name in value.__struct_fields__:
        inner = getattr(value, name)
        if inner is not msgspec.UNSET:
            draft[name] = _as_draft(inner) if isinstance(inner, msgspec.Struct) else inner
    return draft


def _build(body_type: type[S], draft: Mapping[str, Any]) -> S:
    values = dict(draft)
    for field in fields_of(body_type).values():
        if field.struct is not None and isinstance(values.get(field.name), dict):
            values[field.name] = _build(field.struct, values[field.name])
    return body_type(**values)
