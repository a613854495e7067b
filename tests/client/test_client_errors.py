"""What the client says when what answers is not a healthy Springline."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web

from springline.client import ApiError, ClientError, NotSpringline, SpringlineClient, Unreachable

TENTH_OF_A_SECOND = timedelta(milliseconds=100)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def a_stranger(handler: Handler) -> AsyncIterator[SpringlineClient]:
    """A client of a server that is not ours."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with SpringlineClient(f"http://127.0.0.1:{port}", "a-token-of-this-test") as springline:
            yield springline
    finally:
        await runner.cleanup()


def answering(response: Callable[[], web.Response]) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return response()

    return handle


async def test_nothing_listens(unused_tcp_port: int) -> None:
    async with SpringlineClient(f"http://127.0.0.1:{unused_tcp_port}/", "t") as springline:
        with pytest.raises(Unreachable, match=f"http://127.0.0.1:{unused_tcp_port}: nothing listens there"):
            await springline.streams.list()


async def test_a_host_that_does_not_exist() -> None:
    async with SpringlineClient("http://springline.invalid", "t") as springline:
        with pytest.raises(Unreachable, match="the name of its host is not known"):
            await springline.streams.list()


async def test_https_where_http_is_spoken() -> None:
    async with a_stranger(answering(web.Response)) as plain:
        springline = SpringlineClient(plain.base_url.replace("http:", "https:"), "t")
        with pytest.raises(Unreachable, match="does not speak https"):
            await springline.streams.list()
        await springline.close()


async def test_a_connection_that_breaks_in_the_midst_of_an_answer() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"data": [')
        assert request.transport is not None
        request.transport.abort()
        return response

    async with a_stranger(handle) as springline:
        with pytest.raises(Unreachable, match="the connection broke"):
            await springline.streams.list()


@pytest.mark.parametrize("body", [b"<html>It works!</html>", b"[]", b'{"data": 1}', b'{"data": [{"id": 1}]}', b"\xff"])
async def test_an_answer_that_is_not_springlines(body: bytes) -> None:
    async with a_stranger(answering(lambda: web.Response(body=body))) as springline:
        with pytest.raises(NotSpringline):
            await springline.streams.list()


async def test_another_servers_404_is_no_error_of_the_api() -> None:
    async with a_stranger(answering(lambda: web.Response(status=404, text="nope"))) as springline:
        with pytest.raises(NotSpringline, match="is not Springline's API \\(404 Not Found\\)"):
            await springline.streams.get("x")


async def test_a_proxy_that_cannot_reach_the_server() -> None:
    async with a_stranger(answering(lambda: web.Response(status=502, text="bad gateway"))) as springline:
        with pytest.raises(Unreachable, match="502 Bad Gateway"):
            await springline.streams.list()


async def test_a_redirect_is_not_followed_with_the_token() -> None:
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        return web.Response(status=301, headers={"Location": "https://elsewhere.example/v1/streams"})

    async with a_stranger(handle) as springline:
        with pytest.raises(NotSpringline, match=r"redirects to https://elsewhere\.example"):
            await springline.streams.list()
    assert seen == ["/v1/streams"]


async def test_an_error_of_the_api_is_typed() -> None:
    body = {"error": "no", "code": "request.invalid", "fields": {"slug": ["is taken"]}, "docs": ["d"], "later": 1}
    async with a_stranger(answering(lambda: web.json_response(body, status=422))) as springline:
        with pytest.raises(ApiError) as caught:
            await springline.streams.create("x")
    error = caught.value
    assert (error.status, error.code, error.message, error.fields) == (
        422,
        "request.invalid",
        "no",
        {"slug": ["is taken"]},
    )
    assert isinstance(error, ClientError)


async def test_a_list_that_repeats_itself_ends() -> None:
    page = {"data": [], "next_cursor": "again"}
    async with a_stranger(answering(lambda: web.json_response(page))) as springline:
        with pytest.raises(NotSpringline, match="the same page twice"):
            await springline.streams.list()


async def test_every_page_of_a_list_is_read() -> None:
    pages: dict[str | None, tuple[str, str | None]] = {None: ("a", "2"), "2": ("b", None)}
    token = {"name": "n", "org_id": "o", "created_at": "2026-01-02T03:04:05Z"}

    async def handle(request: web.Request) -> web.StreamResponse:
        token_id, next_cursor = pages[request.query.get("cursor")]
        return web.json_response({"data": [{"id": token_id, **token}], "next_cursor": next_cursor})

    async with a_stranger(handle) as springline:
        found = await springline.tokens.list()
    assert [each.id for each in found] == ["a", "b"]
    assert b'"next_cursor":null' in found.raw
    assert found[0].raw == b'{"id": "a", "name": "n", "org_id": "o", "created_at": "2026-01-02T03:04:05Z"}'


async def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request.raw_path)
        return web.Response(status=404)

    async with a_stranger(handle) as springline:
        for text in ("../tokens", "a/b?c#d", "..", "ä"):
            with pytest.raises(NotSpringline):
                await springline.streams.get(text)
    assert seen == [
        "/v1/streams/..%2Ftokens",
        "/v1/streams/a%2Fb%3Fc%23d",
        "/v1/streams/%2E%2E",
        "/v1/streams/%C3%A4",
    ]


async def test_no_answer_in_time() -> None:
    never = asyncio.Event()

    async def handle(_: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    async with a_stranger(handle) as springline:
        with pytest.raises(Unreachable, match="no answer in time"):
            await springline._connection.request("GET", "/v1/streams", within=TENTH_OF_A_SECOND)
        never.set()


async def test_closing_twice_and_unused_is_fine() -> None:
    springline = SpringlineClient("http://127.0.0.1:1", "t")
    await springline.close()
    await springline.close()
