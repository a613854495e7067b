"""A consumer as customers write them, and what it must never see."""

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any, Final, NamedTuple

import aiohttp

ACK_WAIT_SECONDS: Final = 1.5
_MOST_VIOLATIONS: Final = 20


class Copy(NamedTuple):
    """The newest version of a record that the consumer holds."""

    idx: int
    deleted: bool
    value: Any


@dataclass(slots=True)
class _Out:
    """A delivery that was neither acknowledged nor given back: nobody else may get this record before `until`."""

    idx: int
    until: float


class Reader:
    """Several loops that receive and acknowledge, and sometimes forget to, or give messages back.

    `view` is what the consumer knows, by collection and upstream id. `violations` are broken promises, as sentences.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, *, token: str, consumer_id: str, rng: Random) -> None:
        self._session = session
        self._url = f"{url}/v1/http-consumers/{consumer_id}"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._rng = rng
        self.view: dict[tuple[str, str], Copy] = {}
        self.violations: list[str] = []
        self.counts: Counter[str] = Counter()
        self.news = asyncio.Event()
        self._newest: dict[str, Copy] = {}
        self._out: dict[str, _Out] = {}
        self._acked: dict[str, int] = {}

    @property
    def live(self) -> dict[tuple[str, str], Any]:
        """Live records by collection and upstream id."""
        return {key: copy.value for key, copy in self.view.items() if not copy.deleted}

    async def run(self, stop: asyncio.Event) -> None:
        """One loop, until `stop` is set."""
        while not stop.is_set():
            asked_at = time.monotonic()
            query = {"batch_size": self._rng.choice((1, 20, 200, 500)), "wait_for": 1000}
            answer = await self._post("next", query)
            if answer is None:
                self.counts["unanswered receives"] += 1
                await asyncio.sleep(0.02)  # the server is away; only asking tells when it is back
                continue
            messages = json.loads(answer[0])["data"]
            for message in messages:
                self._take(message, asked_at=asked_at)
            if messages:
                self.news.set()
                await self._settle(messages)

    def _take(self, message: dict[str, Any], *, asked_at: float) -> None:
        """Checks one message against all that was seen of its record, and keeps it if it is newer."""
        record = message["record"]
        record_id, idx = record["id"], record["updated_idx"]
        name = f"{record['collection_id']} {record['upstream_id']} at {idx}"
        self.counts["messages"] += 1
        known = self._newest.get(record_id)
        out = self._out.get(record_id)
        if out is not None and time.monotonic() < out.until:
            self._violated(f"{name} came while {out.idx} was out")
        if known is not None and idx < known.idx:
            self._violated(f"{name} came after {known.idx}")
        if known is not None and idx == known.idx:
            self.counts["redelivered"] += 1
            if message["deliver_count"] == 1:
                self._violated(f"{name} came twice as if for the first time")
        if self._acked.get(record_id, 0) >= idx:
            self._violated(f"{name} came again after its ack")
        before, after = _counter(known.value) if known else 0, _counter(record["data"])
        if after < before:
            self._violated(f"{name} counts {after} after {before}")
        if record["deleted"] != (record["deleted_reason"] is not None):
            self._violated(f"{name} is deleted without a reason, or lives with one")
        self._out[record_id] = _Out(idx, asked_at + ACK_WAIT_SECONDS)
        copy = Copy(idx, record["deleted"], record["data"])
        if known is None or idx > known.idx:
            self._newest[record_id] = copy
            self.view[record["collection_id"], record["upstream_id"]] = copy

    async def _settle(self, messages: list[dict[str, Any]]) -> None:
        """Most batches are acknowledged, some are given back, some forgotten."""
        chance = self._rng.random()
        if chance < 0.1:
            self.counts["forgotten"] += len(messages)
            return
        given_back = [message for message in messages if self._rng.random() < 0.3] if chance < 0.25 else []
        if given_back:
            self.counts["given back"] += len(given_back)
            delay = {"delay_ms": self._rng.choice((0, 50))} if self._rng.random() < 0.5 else {}
            await self._send("nack", given_back, delay)
        kept = [message for message in messages if message not in given_back]
        answer = await self._send("ack", kept, {}) if kept else None
        if answer is not None and answer[1].get("X-Stale-Ack-Tokens") == "0":
            for message in kept:
                self._acked[message["record"]["id"]] = message["record"]["updated_idx"]

    async def _send(self, verb: str, messages: list[dict[str, Any]], more: dict[str, Any]) -> Any:
        # From now on it may have been settled, whatever becomes of the answer.
        for message in messages:
            self._out.pop(message["record"]["id"], None)
        body = {"ack_tokens": [message["ack_token"] for message in messages], **more}
        for _ in range(3):
            answer = await self._post(verb, body)
            if answer is not None:
                return answer
            self.counts[f"unanswered {verb}s"] += 1
            await asyncio.sleep(0.05)
        return None

    async def _post(self, verb: str, body: dict[str, Any]) -> tuple[bytes, Any] | None:
        """The answer's body and headers; None if there was none, or the server is not ready."""
        try:
            async with self._session.post(
                f"{self._url}/{verb}", json=body, headers=self._headers, timeout=aiohttp.ClientTimeout(total=5)
            ) as response:
                text = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        if response.status in (200, 204):
            return text, response.headers
        self.counts[f"status {response.status}"] += 1
        if response.status != 503:
            self._violated(f"{verb} was answered {response.status}: {text[:200]!r}")
        return None

    def _violated(self, sentence: str) -> None:
        if len(self.violations) < _MOST_VIOLATIONS:
            self.violations.append(sentence)


def _counter(value: Any) -> int:
    metadata = value.get("metadata") if isinstance(value, dict) else None
    return int(metadata.get("count", 0)) if isinstance(metadata, dict) else 0
