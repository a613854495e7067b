"""Every link of our Markdown leads somewhere, and nothing stands where nobody finds it."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from tests.support.markdown import ROOT, anchors, blocks, links, markdown_files

FILES = markdown_files()


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_links_lead_somewhere(path: Path) -> None:
    for line, target in links(path):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        leads_to = (path.parent / file).resolve() if file else path
        assert leads_to.exists(), f"{shown(path)}:{line}: there is no {file}"
        assert leads_to.is_relative_to(ROOT), f"{shown(path)}:{line}: {file} lies outside the project"
        if anchor:
            assert anchor in anchors(leads_to), f"{shown(path)}:{line}: {file or 'the page'} has no heading #{anchor}"


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_a_page_has_one_title_and_closes_its_blocks(path: Path) -> None:
    text = path.read_text()
    list(blocks(path))
    assert text.startswith("# ")
    outside = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert len(re.findall(r"^# ", outside, re.MULTILINE)) == 1


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached or path.suffix != ".md" or not path.exists():
            continue
        reached.add(path)
        targets = [target.partition("#")[0] for _, target in links(path)]
        waiting += [(path.parent / target).resolve() for target in targets if target and ":" not in target]
    assert [shown(path) for path in FILES if path not in reached] == []


def test_the_index_of_decisions_lists_each_once_with_its_title() -> None:
    index = (ROOT / "docs/adr/README.md").read_text()
    for path in sorted((ROOT / "docs/adr").glob("[0-9]*.md")):
        title = path.read_text().splitlines()[0].removeprefix("# ")
        assert index.count(f"]({path.name})") == 1, f"{path.name} is not in the index"
        assert title.startswith(path.name[:4])
