"""What can be synced, over HTTP."""

from tests.support.api import RunningApi

from springline.providers.registry import PROVIDERS


async def test_every_provider_describes_itself(api: RunningApi) -> None:
    listed = (await api.ours.get("/v1/providers")).expect(200)
    assert listed["next_cursor"] is None
    assert [each["name"] for each in listed["data"]] == [*PROVIDERS, "desk"]
    for each in listed["data"]:
        assert (await api.ours.get(f"/v1/providers/{each['name']}")).expect(200) == each


async def test_what_stripe_says(api: RunningApi) -> None:
    stripe = (await api.ours.get("/v1/providers/stripe")).expect(200)
    (kind,) = stripe["credential_kinds"]
    assert (kind["name"], kind["aliases"]) == ("stripe_key", ["stripe"])
    assert kind["default_rate_limit"]["allowed_requests"] > 0
    secret = next(field for field in kind["fields"] if field["name"] == "secret")
    assert (secret["type"], secret["required"], secret["secret"]) == ("string", True, True)
    customer = next(each for each in stripe["collections"] if each["id"] == "stripe:customer")
    assert customer["key"] == "id"
    assert customer["detection"] == {
        "inserts": ["feed", "sweep"], "updates": ["feed", "sweep"], "deletes": ["feed", "sweep"]
    }  # fmt: skip


async def test_unknown_provider(api: RunningApi) -> None:
    reply = await api.ours.get("/v1/providers/stripes")
    assert (reply.status, reply.code) == (404, "provider.not_found")
    assert ", ".join([*PROVIDERS, "desk"]) in reply.value["error"]
