"""What goes back: an object, a page of objects or an error, and how each is laid out."""

from dataclasses import dataclass, field
from typing import Any

from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.texts import indented, pretty


@dataclass(slots=True)
class Chunk:
    """One object's JSON. `raw`: it goes out byte for byte, in a list too."""

    text: bytes
    raw: bool = False


@dataclass(slots=True)
class Page:
    """A list envelope before it is laid out."""

    url: str
    chunks: list[Chunk]
    has_more: bool

    def text(self) -> bytes:
        if any(chunk.raw for chunk in self.chunks):
            return self._compact()
        more = b"true" if self.has_more else b"false"
        url = pretty(self.url)
        data = b"[]"
        if self.chunks:
            entries = b",\n".join(b"    " + indented(chunk.text, spaces=4) for chunk in self.chunks)
            data = b"[\n" + entries + b"\n  ]"
        return (
            b'{\n  "object": "list",\n  "data": ' + data + b',\n  "has_more": ' + more
            + b',\n  "url": ' + url + b"\n}"
        )  # fmt: skip

    def _compact(self) -> bytes:
        more = b"true" if self.has_more else b"false"
        data = b",".join(chunk.text for chunk in self.chunks)
        return (
            b'{"object":"list","data":[' + data + b'],"has_more":' + more
            + b',"url":' + pretty(self.url) + b"}"
        )  # fmt: skip


@dataclass(slots=True)
class Answer:
    """Status, headers, and either a page, an object or a body laid out already."""

    status: int = 200
    page: Page | None = None
    chunk: Chunk | None = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def text(self) -> bytes:
        if self.body is not None:
            return self.body
        if self.page is not None:
            return self.page.text() + b"\n"
        assert self.chunk is not None
        # Raw text is what the test put here: not even a newline is added.
        return self.chunk.text if self.chunk.raw else self.chunk.text + b"\n"


def answer_value(value: Any) -> Answer:
    return Answer(chunk=Chunk(pretty(value)))


def answer_error(error: StripeError) -> Answer:
    return Answer(status=error.status, chunk=Chunk(pretty(error.body())), headers=dict(error.headers))
