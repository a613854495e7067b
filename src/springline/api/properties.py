"""A credential's properties, checked against the kind that the provider's description names."""

import unicodedata
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from springline.api.errors import Problems
from springline.api.values import nearest, printable, text_fault
from springline.domain.credentials import Properties, split_properties
from springline.domain.secrets import is_mask
from springline.providers.access import CredentialField, CredentialKind
from springline.providers.vocabulary import Provider

_TYPES: Final = {
    "string": "a string",
    "boolean": "true or false",
    "integer": "a whole number",
    "strings": "a list of strings",
}
_MOST_CHARACTERS: Final = 65_536


class CheckedProperties(NamedTuple):
    """Properties that fit the kind they name."""

    provider: Provider
    kind: CredentialKind
    properties: Properties


def check_properties(
    given: Mapping[str, Any], providers: Mapping[str, Provider], problems: Problems, path: str = "properties"
) -> CheckedProperties | None:
    """What `properties` with a `kind` say; None: something is wrong, and is in `problems`."""
    found = _find_kind(given, providers, problems, path)
    if found is None:
        return None
    provider, kind = found
    fitting = _fit(given, kind, problems, path)
    if fitting is None:
        return None
    refusal = kind.refuse(fitting)
    if refusal is not None:
        secrets = [field.name for field in kind.fields if field.secret and field.name in fitting]
        problems.add(f"{path}.{secrets[0]}" if len(secrets) == 1 else path, refusal)
        return None
    return CheckedProperties(provider, kind, split_properties(fitting, kind.secret_names))


def find_kind(name: str, providers: Mapping[str, Provider]) -> tuple[Provider, CredentialKind] | None:
    """A credential kind of any provider, by its name or by one it had before."""
    for provider in providers.values():
        kind = provider.find_kind(name)
        if kind is not None:
            return provider, kind
    return None


def _find_kind(
    given: Mapping[str, Any], providers: Mapping[str, Provider], problems: Problems, path: str
) -> tuple[Provider, CredentialKind] | None:
    if "kind" not in given:
        problems.add(f"{path}.kind", "is required")
        return None
    name = given["kind"]
    known = [kind.name for provider in providers.values() for kind in provider.credential_kinds]
    found = find_kind(name, providers) if isinstance(name, str) else None
    if found is None:
        hint = nearest(name, known) if isinstance(name, str) else ""
        problems.add(f"{path}.kind", f"must be one of {', '.join(f'`{each}`' for each in known)}{hint}")
    return found


def _fit(given: Mapping[str, Any], kind: CredentialKind, problems: Problems, path: str) -> dict[str, Any] | None:
    """The properties under their present names, in the order of the description; None: one is wrong."""
    aliases = {alias: field.name for field in kind.fields for alias in field.aliases}
    names = [field.name for field in kind.fields]
    fine = True
    values: dict[str, Any] = {}
    for name, value in given.items():
        present = aliases.get(name, name)
        if present == "kind" or value is None:
            continue
        if present not in names:
            problems.add(f"{path}.{printable(name)}", f"is unknown for `{kind.name}`{nearest(name, names)}")
            fine = False
        elif present in values:
            problems.add(f"{path}.{name}", f"is another name of `{present}`: give one of the two")
            fine = False
        else:
            values[present] = value
    fitting = {}
    for field in kind.fields:
        if field.name not in values:
            if field.required:
                problems.add(f"{path}.{field.name}", "is required")
                fine = False
            continue
        fault = property_fault(field, values[field.name])
        if fault is not None:
            problems.add(f"{path}.{field.name}", fault)
            fine = False
        fitting[field.name] = values[field.name]
    return fitting if fine else None


def property_fault(field: CredentialField, value: Any) -> str | None:
    """What is wrong with a property's value, as the end of a sentence about it; None: nothing."""
    if not _is_of_type(field, value):
        return f"must be {_TYPES[field.type]}"
    texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    for text in texts:
        if text_fault(text) is not None:
            return text_fault(text)
        if len(text) > _MOST_CHARACTERS:
            return f"must be at most {_MOST_CHARACTERS} characters long"
        if field.secret and is_mask(text):
            return "is our mask of a secret; send the secret itself, or leave the field out"
        if _holds_control_character(text):
            return "must not hold line breaks or other control characters"
        if field.required and not text.strip():
            return "must not be empty"
    return None


def _is_of_type(field: CredentialField, value: Any) -> bool:
    if field.type == "strings":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if field.type == "integer":
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, bool if field.type == "boolean" else str)


def _holds_control_character(text: str) -> bool:
    # A private key in PEM is many lines; a line break in anything else would end an HTTP header.
    if text.startswith("-----BEGIN "):
        text = text.replace("\n", "").replace("\r", "")
    return any(unicodedata.category(character) == "Cc" for character in text)
