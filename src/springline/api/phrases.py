"""Types in words, for the sentences that refuse a value: "must be …"."""

from msgspec import inspect


def phrase(info: inspect.Type) -> str:
    """What a value of this type is, as the end of "must be"."""
    if isinstance(info, inspect.Metadata):
        says: str | None = (info.extra or {}).get("says")
        return says if says is not None else phrase(info.type)
    if isinstance(info, inspect.UnionType):
        parts = [phrase(part) for part in info.types if not isinstance(part, inspect.NoneType)]
        if info.includes_none:
            parts.append("null")
        return ", or ".join(parts)
    if isinstance(info, inspect.IntType):
        return "a whole number" + _range(info)
    if isinstance(info, inspect.FloatType):
        return "a number" + _range(info)
    if isinstance(info, inspect.StrType):
        return "a string" + _length(info)
    if isinstance(info, inspect.LiteralType):
        return ("one of " if len(info.values) > 1 else "") + ", ".join(f"`{value}`" for value in info.values)
    if isinstance(info, (inspect.ListType, inspect.VarTupleType)):
        empty = " that is not empty" if info.min_length else ""
        most = f", at most {info.max_length} of them" if info.max_length is not None else ""
        return f"a list{empty}, each {phrase(info.item_type)}{most}"
    return _SIMPLE.get(type(info), "of another type")


_SIMPLE: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.UUIDType: "a UUID",
    inspect.DateTimeType: "a time such as `2026-01-31T12:00:00Z`",
    inspect.DictType: "an object",
    inspect.StructType: "an object",
    inspect.NoneType: "null",
    inspect.AnyType: "any JSON value",
}


def _range(info: inspect.IntType | inspect.FloatType) -> str:
    if info.ge is not None and info.le is not None:
        return f" from {info.ge:g} to {info.le:g}" if abs(info.le) < 1e6 else f" from {info.ge} to {info.le}"
    if info.gt is not None and info.le is not None:
        return f" greater than {info.gt:g}, at most {info.le}"
    if info.gt is not None:
        return f" greater than {info.gt:g}"
    if info.ge is not None:
        return f" of at least {info.ge}"
    return f" of at most {info.le}" if info.le is not None else ""


def _length(info: inspect.StrType) -> str:
    if info.min_length and info.max_length is not None:
        return f" of {info.min_length} to {info.max_length} characters"
    if info.min_length:
        return " that is not empty"
    return f" of at most {info.max_length} characters" if info.max_length is not None else ""
