"""What is worked out once about the fields of a body or of query parameters."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import UnsetType, inspect


class Field(NamedTuple):
    """A field. `struct`: the type of an object with fields of its own; `kind`: what a query parameter of it looks like.

    Types are marked by `Meta(extra={…: True})`: `metadata` has limits of its own, `checked_later` is looked through by
    the endpoint.
    """

    name: str
    required: bool
    default: Callable[[], Any]
    annotation: Any
    info: inspect.Type
    struct: type[msgspec.Struct] | None
    is_metadata: bool
    checked_later: bool
    kind: Literal["value", "list", "object"]


@functools.cache
def fields_of(body_type: type[msgspec.Struct]) -> dict[str, Field]:
    """The fields by the names that clients know."""
    fields = {}
    for field in msgspec.structs.fields(body_type):
        value_type = without_unset(field.type)
        info = inspect.type_info(value_type)
        fields[field.encode_name] = Field(
            name=field.name,
            required=field.required,
            default=_default(field),
            annotation=value_type,
            info=info,
            struct=_struct_in(info),
            is_metadata=_marked(info, "metadata"),
            checked_later=_marked(info, "checked_later"),
            kind=_kind(info),
        )
    return fields


def without_unset(value_type: Any) -> Any:
    """The type of a field's value where it is given."""
    if get_origin(value_type) is Union:
        return Union[tuple(part for part in get_args(value_type) if part is not UnsetType)]  # noqa: UP007
    return value_type


def alternatives(info: inspect.Type) -> Iterator[inspect.Type]:
    """The types that a value may have."""
    if isinstance(info, inspect.Metadata):
        yield from alternatives(info.type)
    elif isinstance(info, inspect.UnionType):
        for part in info.types:
            yield from alternatives(part)
    else:
        yield info


def _struct_in(info: inspect.Type) -> type[msgspec.Struct] | None:
    return next((part.cls for part in alternatives(info) if isinstance(part, inspect.StructType)), None)


def _marked(info: inspect.Type, mark: str) -> bool:
    """Whether a type's `Meta(extra=…)` says so."""
    if isinstance(info, inspect.UnionType):
        return any(_marked(part, mark) for part in info.types)
    return isinstance(info, inspect.Metadata) and bool((info.extra or {}).get(mark))


def _default(field: msgspec.structs.FieldInfo) -> Callable[[], Any]:
    return field.default_factory if field.default is msgspec.NODEFAULT else lambda: field.default


def _kind(info: inspect.Type) -> Literal["value", "list", "object"]:
    parts = list(alternatives(info))
    if any(isinstance(part, inspect.DictType) for part in parts):
        return "object"
    return "list" if any(isinstance(part, inspect.ListType) for part in parts) else "value"
