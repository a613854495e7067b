"""What must never be seen: not in a log, an error, a trace or an answer (I9)."""

import re
from typing import Final

#: Stands in every answer in place of a secret, whatever the secret's length.
MASK: Final = "************"

_ASTERISKS = re.compile(r"\*+")


class Secret:
    """A text that prints as asterisks. `reveal` is called by the module that speaks to the provider, and by the one
    that encrypts; nowhere else."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return format(MASK, format_spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not serialised")


def is_mask(text: str) -> bool:
    """Whether a text is nothing but asterisks: what we answer in place of a secret, sent back to us."""
    return _ASTERISKS.fullmatch(text) is not None
