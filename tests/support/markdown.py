"""Our Markdown, as far as tests look into it: fenced blocks with the comment above them, headings, links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]*)$")
_COMMENT = re.compile(r"^ *<!-- (?P<text>.*) -->$")
_HEADING = re.compile(r"^#{1,6} (?P<text>.+)$")
_LINK = re.compile(r"\[(?:[^\]]|\\\])*\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"`[^`]*`")


@dataclass(frozen=True)
class Block:
    """A fenced block. `comments` are the texts of the HTML comments right above it."""

    path: Path
    line: int
    language: str
    comments: tuple[str, ...]
    text: str

    @property
    def place(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of a console block, and what the page shows that it prints."""

    line: int
    text: str
    output: tuple[str, ...]


def markdown_files() -> list[Path]:
    """Every Markdown file of the project."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order. Raises ValueError for a fence that is never closed."""
    opened: tuple[int, str, str, tuple[str, ...]] | None = None
    comments: tuple[str, ...] = ()
    lines: list[str] = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        fence = _FENCE.match(line)
        if opened is not None:
            at, indent, language, above = opened
            if line == f"{indent}```":
                yield Block(path, at, language, above, "\n".join(lines))
                opened, comments = None, ()
            else:
                lines.append(line.removeprefix(indent))
        elif fence is not None:
            opened, lines = (number, fence["indent"], fence["language"], comments), []
        else:
            found = _COMMENT.match(line)
            comments = (*comments, found["text"]) if found else comments if not line.strip() else ()
    if opened is not None:
        raise ValueError(f"{path}:{opened[0]}: this block is never closed")


def commands(block: Block) -> list[Command]:
    """The commands of a console block: after `$ `, going on after a backslash or inside single quotes."""
    found: list[Command] = []
    text: list[str] = []
    output: list[str] = []
    at = block.line
    open_command = False

    def finish() -> None:
        if text:
            found.append(Command(at, "\n".join(text), tuple(output)))

    for number, line in enumerate(block.text.splitlines(), start=block.line + 1):
        if open_command:
            text.append(line)
        elif line.startswith("$ "):
            finish()
            at, text, output = number, [line[2:]], []
        elif text:
            output.append(line)
        else:
            raise ValueError(f"{block.place}: a console block begins with a command")
        whole = "\n".join(text)
        open_command = bool(text) and not output and (whole.endswith("\\") or whole.count("'") % 2 == 1)
    finish()
    return found


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for line in _prose(path):
        heading = _HEADING.match(line)
        if heading is None:
            continue
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading["text"].replace("`", "")).lower()
        slug = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        number = 0
        while (anchor := slug if number == 0 else f"{slug}-{number}") in found:
            number += 1
        found.add(anchor)
    return found


def links(path: Path) -> list[tuple[int, str]]:
    """(line, target) of every link of a page, outside code."""
    return [
        (number, link["target"])
        for number, line in enumerate(_prose(path), start=1)
        for link in _LINK.finditer(_CODE.sub("", line))
    ]


def _prose(path: Path) -> Iterator[str]:
    """The lines of a page; those of fenced blocks are empty."""
    inside = False
    for line in path.read_text().splitlines():
        if line.lstrip().startswith("```"):
            inside = not inside
            yield ""
        else:
            yield "" if inside else line
