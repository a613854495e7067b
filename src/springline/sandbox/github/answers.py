"""What goes back: an object, a page of objects, an error or nothing, and where the neighbouring pages are."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from springline.sandbox.github.errors import GithubError


@dataclass(slots=True)
class Page:
    """One page of a list before it is laid out. `links` are URLs by relation."""

    chunks: list[bytes]
    links: dict[str, str]
    envelope: str | None = None
    total: int = 0

    def text(self) -> bytes:
        rows = b"[" + b",".join(self.chunks) + b"]"
        if self.envelope is None:
            return rows
        return b'{"total_count":%d,"%s":%s}' % (self.total, self.envelope.encode(), rows)

    def link(self) -> str | None:
        """The Link header; None where this is the only page."""
        order = [rel for rel in ("prev", "next", "last", "first") if rel in self.links]
        return ", ".join(f'<{self.links[rel]}>; rel="{rel}"' for rel in order) or None


@dataclass(slots=True)
class Answer:
    """Status, headers, and a page or a body; an empty body is none at all."""

    status: int = 200
    body: bytes = b""
    page: Page | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def text(self) -> bytes:
        return self.body if self.page is None else self.page.text()


def answer_value(value: Any, *, status: int = 200) -> Answer:
    return Answer(status=status, body=msgspec.json.encode(value))


def answer_error(error: GithubError) -> Answer:
    return Answer(status=error.status, body=msgspec.json.encode(error.body()), headers=dict(error.headers))
