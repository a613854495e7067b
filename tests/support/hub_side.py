"""Hub, as seen from its side: it gives out tokens as GitHub does, to who signs with the app's key, by its own clock."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from typing import Any, Final

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

APP_ID: Final = 4711
INSTALLATION: Final = 17


@cache
def app_key() -> RSAPrivateKey:
    """The app's key; it is made once, which takes a moment."""
    return generate_private_key(65537, 2048)


@cache
def app_pem() -> str:
    """The app's key as GitHub offers it for download."""
    return pem_of(app_key())


def pem_of(key: RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


class HubSide:
    """`installations` are `active`, `suspended` or not there. `failing`: statuses for the next requests for a token, in
    order. A cleared `open` holds requests for tokens back. `tokens` maps those given out to their end."""

    def __init__(self) -> None:
        self.url = ""
        self.offset = timedelta()
        self.lifetime = timedelta(hours=1)
        self.installations = {INSTALLATION: "active"}
        self.failing: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()
        self.asked_times = 0
        self.tokens: dict[str, datetime] = {}
        self.refresh_tokens: set[str] = set()
        self.seen_tokens: list[str] = []
        #: Answers to requests for a token that were refused, newest last.
        self.refusals: list[str] = []
        self.before_answer: Callable[[], Awaitable[None]] | None = None

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    @property
    def minted(self) -> int:
        return len(self.tokens)

    def revoke_all(self) -> None:
        """Every token ends at once."""
        self.tokens = dict.fromkeys(self.tokens, self.now - timedelta(days=1))

    def answer(self, body: object, status: int = 200) -> web.Response:
        headers = {"Date": format_datetime(self.now, usegmt=True)}
        return web.json_response(body, status=status, headers=headers)

    def refuse(self, status: int, message: str) -> web.Response:
        self.refusals.append(message)
        return self.answer({"message": message, "documentation_url": "https://docs"}, status)

    async def mint(self, request: web.Request) -> web.Response:
        self.asked_times += 1
        self.asked.set()
        await self.open.wait()
        if self.failing:
            return self.refuse(self.failing.pop(0), "Something went wrong")
        fault = self._jwt_fault(request.headers.get("Authorization", ""))
        if fault is not None:
            return self.refuse(401, fault)
        state = self.installations.get(int(request.match_info["installation_id"]))
        if state is None:
            return self.refuse(404, "Not Found")
        if state == "suspended":
            return self.refuse(403, "This installation has been suspended")
        token = f"ghs_{uuid.uuid4().hex}"
        ends = self.now + self.lifetime
        self.tokens[token] = ends
        if self.before_answer is not None:
            await self.before_answer()
        expires_at = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
        return self.answer({"token": token, "expires_at": expires_at, "repository_selection": "all"}, 201)

    def _jwt_fault(self, authorization: str) -> str | None:
        text = authorization.removeprefix("Bearer ")
        try:
            options: Any = {"verify_exp": False, "verify_iat": False, "require": ["iat", "exp", "iss"]}
            claims = jwt.decode(text, app_key().public_key(), algorithms=["RS256"], options=options)
        except jwt.PyJWTError:
            return "A JSON web token could not be decoded"
        now = self.now.timestamp()
        if claims["iss"] != str(APP_ID):
            return "Integration not found"
        if claims["exp"] > now + 601:
            return "'Expiration time' claim ('exp') is too far in the future"
        if claims["exp"] < now:
            return "'Expiration time' claim ('exp') must be a numeric value representing the future time"
        return "'Issued at' claim ('iat') must be in the past" if claims["iat"] > now else None

    async def refresh(self, request: web.Request) -> web.Response:
        self.asked_times += 1
        self.asked.set()
        await self.open.wait()
        if self.failing:
            return self.refuse(self.failing.pop(0), "Something went wrong")
        form = await request.post()
        if form["refresh_token"] not in self.refresh_tokens:
            self.refusals.append("bad_refresh_token")
            return self.answer({"error": "bad_refresh_token"})
        self.refresh_tokens.remove(str(form["refresh_token"]))
        token, following = f"ghu_{uuid.uuid4().hex}", f"ghr_{uuid.uuid4().hex}"
        self.tokens[token] = self.now + self.lifetime
        self.refresh_tokens.add(following)
        if self.before_answer is not None:
            await self.before_answer()
        seconds = self.lifetime.total_seconds()
        return self.answer({"access_token": token, "refresh_token": following, "expires_in": seconds})

    def _is_let_in(self, request: web.Request) -> bool:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.seen_tokens.append(token)
        return self.tokens.get(token, self.now) > self.now

    async def repositories(self, request: web.Request) -> web.Response:
        if not self._is_let_in(request):
            return self.answer({"message": "Bad credentials"}, 401)
        return self.answer({"data": [{"id": "1", "name": "web"}, {"id": "2", "name": "api"}], "has_more": False})

    async def repository(self, request: web.Request) -> web.Response:
        if not self._is_let_in(request):
            return self.answer({"message": "Bad credentials"}, 401)
        return self.answer(json.loads(f'{{"id": "{request.match_info["id"]}", "name": "web"}}'))


@asynccontextmanager
async def hub_side() -> AsyncIterator[HubSide]:
    """Hub on a free port."""
    side = HubSide()
    app = web.Application()
    app.router.add_post("/app/installations/{installation_id}/access_tokens", side.mint)
    app.router.add_post("/login/oauth/access_token", side.refresh)
    app.router.add_get("/installation/repositories", side.repositories)
    app.router.add_get("/repositories", side.repositories)
    app.router.add_get("/repositories/{id}", side.repository)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    side.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield side
    finally:
        side.open.set()
        await runner.cleanup()
