"""Whatever is sent to whichever path, the GitHub sandbox answers as an API does, and its data stays whole."""

import re
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from tests.sandbox.github_client import GithubClient

from springline.sandbox.github.collection import Listing, Operation, Read
from springline.sandbox.github.collections import COLLECTIONS
from springline.sandbox.github.seeding import fill

ODD: list[Any] = [
    None, "", 1, -5, True, [], {}, "open", "closed", "main", ["bug"], [{"name": "x"}], [None, 1], "é" * 30,
    "2026-01-01T00:00:00Z", "octo-admin", "APPROVE", {"a": 1}, 10**20, "refs/heads/x", "Y3Vyc29y",
]  # fmt: skip
QUERIES = ("state", "sort", "direction", "since", "page", "per_page", "after", "before", "created", "sha", "filter")


class Somebody:
    """Asks for everything, mostly with places that there are."""

    def __init__(self, github: GithubClient, rng: Random) -> None:
        self.github = github
        self.world = github.running.sandbox.world
        self.rng = rng

    def path(self, template: str) -> str:
        repository = self.rng.choice(list(self.world["repository"]))

        def place(match: re.Match[str]) -> str:
            name = match.group(1)
            if name == "repository":
                return self.world.full_name(repository)
            kind = self.world.collections.get(name)
            rows = [] if kind is None else list(self.world[name])
            rows = [row for row in rows if row["scope"] == repository["id"]] or rows
            if kind is None or not rows or self.rng.random() < 0.1:
                return quote(self.rng.choice(["nothing", "999999", "heads/main", "%00", "é", "a/b"]))
            return quote(str(self.rng.choice(rows)[kind.key]))

        return "/" + re.sub(r"\{(\w+)(?:\.\.\.)?\}", place, template)

    async def ask(self, method: str, template: str, operation: Operation | None) -> None:
        takes = {} if operation is None else operation.takes
        body: Any = {name: self.rng.choice(ODD) for name in takes if self.rng.random() < 0.8}
        body |= {name: self.rng.choice(param.allowed) for name, param in takes.items() if param.allowed}
        query = {name: self.rng.choice(ODD[1:]) for name in QUERIES if self.rng.random() < 0.1}
        path = self.path(template)
        reply = await self.github.request(
            method, path, query=query, body=None if operation is None else self.rng.choice([body, body, [], "x"])
        )
        assert reply.status < 500, (method, path, query, body)


@pytest.mark.parametrize("seed", [1, 2])
async def test_odd_requests_break_nothing(github: GithubClient, seed: int) -> None:
    fill(github.running.sandbox, repositories=3, issues=10)
    for kind in COLLECTIONS:
        if kind.seed is not None and kind.name not in {"organization", "repository"}:
            await github.seed(kind.name, 3, seed=seed)
    somebody = Somebody(github, Random(seed))
    asked: list[tuple[str, str, Operation | None]] = []
    for kind in COLLECTIONS:
        reads: tuple[Listing | Read, ...] = (*kind.listings, *kind.reads)
        asked += [("GET", read.path, None) for read in reads]
        asked += [(each.method, each.path, each) for each in kind.operations]
    asked.remove(next(each for each in asked if each[:2] == ("DELETE", "repos/{repository}")))
    for _ in range(3):
        somebody.rng.shuffle(asked)
        for method, template, operation in asked:
            await somebody.ask(method, template, operation)
    for kind in COLLECTIONS:
        for view in ("list", "detail"):
            await github.control("GET", f"/objects/{kind.name}?view={view}")
