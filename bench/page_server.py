"""A static, Stripe-shaped server: 100,000 customers of about 1 KB in pages, everything else empty.

`python -m bench.page_server --records 100000` prints its URL and serves until its stdin ends. Pages are rendered
before the first request, so that its own cost stays far below that of what is measured; it is never counted.
`POST /bench/change?percent=5` gives every 20th customer a new balance.
"""

from __future__ import annotations

import argparse
import asyncio
import email.utils
import os
import sys
import time
from bisect import bisect_left, bisect_right
from typing import cast
from urllib.parse import parse_qsl, unquote

import msgspec
import uvloop

from bench.customers import changed, customers

PAGE = 100
EMPTY_LISTS = ("products", "plans", "coupons", "subscriptions", "invoices", "prices", "events")
ACCOUNT = b'{"id":"acct_1Bench","object":"account","country":"PT","email":"bench@springline.example","type":"standard"}'


class Customers:
    """The collection, newest first, with its pages rendered at every hundredth place."""

    def __init__(self, count: int) -> None:
        self._rows = customers(count)
        self._version = 0
        self._places = {row.id: place for place, row in enumerate(self._rows)}
        self._created = [-row.created // 10**6 for row in self._rows]  # ascending, for bisect
        self._rendered: dict[int, bytes] = {}
        self._render()

    def _render(self) -> None:
        self._rendered = {start: self._page(start, start + PAGE) for start in range(0, len(self._rows), PAGE)}

    def _page(self, start: int, end: int) -> bytes:
        rows = b",".join([row.data for row in self._rows[start:end]])
        more = b"true" if end < len(self._rows) else b"false"
        return b'{"object":"list","data":[' + rows + b'],"has_more":' + more + b',"url":"/v1/customers"}'

    def change(self, percent: int) -> int:
        """Give `percent` of the customers, evenly spread, new content; how many that are."""
        self._version += 1
        step = 100 // percent
        for place in range(0, len(self._rows), step):
            self._rows[place] = changed(self._rows[place], version=self._version)
        self._render()
        return len(range(0, len(self._rows), step))

    def by_id(self, identity: str) -> bytes | None:
        place = self._places.get(identity)
        return None if place is None else self._rows[place].data

    def listing(self, query: dict[str, str]) -> bytes | None:
        """One page; None if `starting_after` is unknown."""
        limit = min(int(query.get("limit", "10")), PAGE)
        start, end = 0, len(self._rows)
        if "created[lte]" in query:
            start = bisect_left(self._created, -int(query["created[lte]"]))
        if "created[gte]" in query:
            end = bisect_right(self._created, -int(query["created[gte]"]))
        if "starting_after" in query:
            place = self._places.get(query["starting_after"])
            if place is None:
                return None
            start = max(start, place + 1)
        if limit == PAGE and end == len(self._rows) and start in self._rendered:
            return self._rendered[start]
        return self._page(start, min(start + limit, end))

    def cursors(self) -> list[str]:
        """The `starting_after` of every page but the first."""
        return [self._rows[start - 1].id for start in range(PAGE, len(self._rows), PAGE)]


class Server(asyncio.Protocol):
    """HTTP/1.1 for GET and bodiless POST, keep-alive, nothing else."""

    def __init__(self, rows: Customers) -> None:
        self._rows = rows
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, self._received = self._received[:end], self._received[end + 4 :]
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
            status, body = self._answer(method, target)
            self._transport.write(
                b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nDate: %s\r\nRequest-Id: req_bench\r\n"
                b"Content-Length: %d\r\n\r\n" % (status, _date(), len(body))
            )
            self._transport.write(body)

    def _answer(self, method: str, target: str) -> tuple[bytes, bytes]:
        path, _, text = target.partition("?")
        query = dict(parse_qsl(text)) if text else {}
        parts = path.strip("/").split("/")
        body: bytes | None = None
        if method == "POST" and path == "/bench/change":
            body = msgspec.json.encode({"changed": self._rows.change(int(query["percent"]))})
        elif path == "/bench/cursors":
            body = msgspec.json.encode(self._rows.cursors())
        elif path == "/v1/account":
            body = ACCOUNT
        elif path == "/v1/customers":
            body = self._rows.listing(query)
        elif parts[:2] == ["v1", "customers"] and len(parts) == 3:
            body = self._rows.by_id(unquote(parts[2]))
        elif len(parts) == 2 and parts[0] == "v1" and parts[1] in EMPTY_LISTS:
            body = b'{"object":"list","data":[],"has_more":false,"url":"' + path.encode() + b'"}'
        if body is None:
            error = {"type": "invalid_request_error", "code": "resource_missing", "message": f"No such object: {path}"}
            return b"404 Not Found", msgspec.json.encode({"error": error})
        return b"200 OK", body


def _date() -> bytes:
    return email.utils.formatdate(int(time.time()), usegmt=True).encode()


async def serve(rows: Customers, port: int) -> None:
    """Serve until stdin ends, which it does when the process that started this one is gone."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(rows), "127.0.0.1", port)
    address = server.sockets[0].getsockname()
    print(f"http://127.0.0.1:{address[1]}", flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 1024) else ended.set())
    await ended.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.page_server", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    arguments = parser.parse_args()
    uvloop.run(serve(Customers(arguments.records), arguments.port))


if __name__ == "__main__":
    main()
