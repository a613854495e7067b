"""I9, with canaries: whatever leaves the process, or lies on its disk in clear, holds no secret."""

from base64 import urlsafe_b64encode
from typing import Any, Final

import aiohttp
from tests.support.api import Client, Reply
from tests.support.processes import Place, until

from springline.sandbox.stripe.server import RunningSandbox

#: Secrets that look like one, and some that do not.
STRIPE_KEY: Final = "sk_test_canaryqwertz"
REFUSED_KEY: Final = "sk_test_canaryrefused"
ODD_KEY: Final = "canary-without-a-prefix"
API_TOKEN: Final = "canary-api-token-0123456789"
SECRET_KEY: Final = urlsafe_b64encode(b"canary-secret-key-of-32-bytes-!!").decode().rstrip("=")
CANARIES: Final = (STRIPE_KEY, REFUSED_KEY, ODD_KEY, API_TOKEN, SECRET_KEY, "canary")


async def test_no_canary_leaves(place: Place, sandbox: RunningSandbox) -> None:
    for log_format in ("text", "json"):
        await handle_secrets(place, sandbox, log_format)
    files = [file for file in place.folder.rglob("*") if file.is_file()]
    assert any(file.name == "postgres.log" for file in files)
    assert not {"token", "secret.key"} & {file.name for file in files}
    assert not [file for file in files if found_in(file.read_bytes())]


async def handle_secrets(place: Place, sandbox: RunningSandbox, log_format: str) -> None:
    """A server's life with secrets that are taken, refused and withdrawn; nothing that it says holds one."""
    settings = {
        "SPRINGLINE_STRIPE_BASE_URL": sandbox.url,
        "SPRINGLINE_API_TOKEN": API_TOKEN,
        "SPRINGLINE_SECRET_KEY": SECRET_KEY,
        "SPRINGLINE_LOG_LEVEL": "debug",
        "SPRINGLINE_LOG_FORMAT": log_format,
    }
    server = await (await place.start(settings=settings)).until_ready()
    async with aiohttp.ClientSession() as session:
        client = Listener(session, server.url, API_TOKEN)
        stream = await client.stream(log_format)
        await set_key(session, sandbox, STRIPE_KEY, "active")
        good = {"properties": {"kind": "stripe_key", "secret": STRIPE_KEY}}
        credential = (await client.post("/v1/credentials", good)).value
        sync = await client.sync(stream_id=stream["id"], credential_id=credential["id"])
        await set_key(session, sandbox, REFUSED_KEY, "revoked")
        for wrong in (
            {"properties": {"kind": "stripe_key", "secret": REFUSED_KEY}},
            {"properties": {"kind": "stripe_key", "secret": ODD_KEY}},
            {"properties": {"kind": "stripe_key", "secret": [ODD_KEY]}},
            {"properties": {"kind": "stripe_key", "secret": STRIPE_KEY, "test": ODD_KEY}},
            {"properties": {"kind": ODD_KEY, "secret": STRIPE_KEY}},
            {"secret": STRIPE_KEY, "propertys": good},
        ):
            (await client.post("/v1/credentials", wrong)).expect(422)
        broken = b'{"properties": {"kind": "stripe_key", "secret": "' + STRIPE_KEY.encode()
        (await client.request("POST", "/v1/credentials", data=broken)).expect(400)
        (await client.request("GET", "/v1/streams", headers={"Authorization": f"Basic {ODD_KEY}"})).expect(401)
        (await client.get("/v1/streams", token=API_TOKEN)).expect(422)
        (await client.get("/v1/credentials")).expect(200)
        # A live credential dies: the log tells of it, and so does the sync's health.
        await set_key(session, sandbox, STRIPE_KEY, "revoked")
        await until(lambda: "sync.fault" in server.err)
        (await client.get(f"/v1/syncs/{sync['id']}")).expect(200)
        (await client.get(f"/v1/credentials/{credential['id']}")).expect(200)
        answers = b"\n".join(client.bodies)
    await server.terminate()
    assert not found_in(server.out.encode())
    assert not found_in(server.err.encode())
    assert not found_in(answers)


class Listener(Client):
    """Keeps every answer."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.bodies: list[bytes] = []

    async def request(self, *arguments: Any, **options: Any) -> Reply:
        reply = await super().request(*arguments, **options)
        self.bodies.append(reply.body + str(reply.headers).encode())
        return reply


async def set_key(session: aiohttp.ClientSession, sandbox: RunningSandbox, key: str, state: str) -> None:
    async with session.post(f"{sandbox.control_url}/keys", json={"key": key, "state": state}) as response:
        assert response.status == 200


def found_in(content: bytes) -> list[str]:
    return [canary for canary in CANARIES if canary.encode() in content]
