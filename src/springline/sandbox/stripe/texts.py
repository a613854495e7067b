"""JSON as Stripe writes it: two spaces a level, UTF-8 unescaped, a newline at the end of a body."""

from springline.sandbox.common.texts import Object, parse, pretty

__all__ = ["Object", "indented", "parse", "pretty"]


def indented(text: bytes, *, spaces: int) -> bytes:
    """Pretty JSON moved to the right: a newline inside JSON is only ever layout."""
    return text.replace(b"\n", b"\n" + b" " * spaces)
