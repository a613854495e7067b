"""Events: what each change leaves behind, and how /v1/events selects them."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.params import Parser, list_of, read_params, text
from springline.sandbox.stripe.records import Record
from springline.sandbox.stripe.texts import Object, indented, pretty

MOST_TYPES = 20


def event_text(header: Object, *, subject: Record, previous: Object | None) -> tuple[bytes, bool]:
    """An event's JSON around the subject's text as it stands, and whether that makes it raw.

    `header` holds every field but `data`, in order; `data` comes after `created`.
    """
    names = list(header)
    split = names.index("created") + 1
    before = {name: header[name] for name in names[:split]}
    after = {name: header[name] for name in names[split:]}
    if subject.raw:
        tail = b"" if previous is None else b',"previous_attributes":' + pretty(previous)
        data = b'{"object":' + subject.text + tail + b"}"
        return pretty(before)[:-2] + b',\n  "data": ' + data + b"," + pretty(after)[1:], True
    tail = b"" if previous is None else b',\n    "previous_attributes": ' + indented(pretty(previous), spaces=4)
    data = b'{\n    "object": ' + indented(subject.text, spaces=4) + tail + b"\n  }"
    return pretty(before)[:-2] + b',\n  "data": ' + data + b"," + pretty(after)[1:], False


def previous_attributes(before: Object, after: Object) -> Object:
    """The fields that changed with their values before: within hashes field by field, new ones as null."""
    changed: Object = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new and type(old) is type(new):
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            changed[name] = previous_attributes(old, new)
        else:
            changed[name] = old
    return dict(sorted(changed.items()))


EVENT_FILTERS: Mapping[str, Parser] = {
    "type": text(unsettable=False),
    "types": list_of(text(unsettable=False), most=MOST_TYPES),
}


def event_types_wanted(form: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The type patterns of an events list, None for all. Raises StripeError for a wrong combination."""
    given = {name: form[name] for name in EVENT_FILTERS if name in form}
    params = read_params(given, EVENT_FILTERS)
    if len(params) == 2:
        raise StripeError(
            "You may only specify one of these parameters: type, types.",
            code="parameters_exclusive",
            param="type",
        )
    if "types" in params:
        for wanted in params["types"]:
            if "*" in wanted:
                raise StripeError(
                    f"Invalid event type: {wanted}. A wildcard is only possible in `type`.", param="types"
                )
        return tuple(params["types"])
    return (params["type"],) if "type" in params else None


def is_wanted(event_type: str, wanted: tuple[str, ...] | None) -> bool:
    if wanted is None:
        return True
    return any(fnmatchcase(event_type, pattern) for pattern in wanted)
