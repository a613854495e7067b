"""What holds for each of the sandbox's collections: lists, reads, shapes, histories."""

import types
from typing import Any, Literal, Union, get_args, get_origin

import pytest
import stripe as library
from stripe._object_classes import get_object_class
from tests.sandbox.sandbox_client import NOW, SandboxClient

from springline.sandbox.stripe.collection import Collection
from springline.sandbox.stripe.collections import COLLECTIONS

BY_NAME = {kind.name: kind for kind in COLLECTIONS}
NAMES = list(BY_NAME)
EVERY_EXTRA = {"subscription": {"status": "all"}}


def test_the_collections_are_those_of_the_api() -> None:
    assert len(NAMES) == len(set(NAMES)) == 44
    for kind in COLLECTIONS:
        assert kind.seed is not None, kind.name
        assert kind.path is not None or (kind.parent is not None and kind.parent.segment is not None)


async def parents_of(stripe: SandboxClient, kind: Collection) -> list[str]:
    assert kind.parent is not None
    return [value["id"] for value in await stripe.control("GET", f"/objects/{kind.parent.collection}")]


async def walk(stripe: SandboxClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """Every page of a list, three objects at a time."""
    found: list[dict[str, Any]] = []
    while True:
        cursor = {"starting_after": found[-1]["id"]} if found else {}
        reply = await stripe.get(path, {**query, **cursor}, limit=3)
        assert reply.status == 200, reply.body
        assert reply.value["url"] == path
        found += reply.value["data"]
        if not reply.value["has_more"]:
            return found


async def listed(stripe: SandboxClient, kind: Collection) -> list[dict[str, Any]]:
    """Everything of a collection by the API's lists, parent by parent where it has one."""
    query = EVERY_EXTRA.get(kind.name, {})
    if kind.parent is None:
        return await walk(stripe, f"/v1/{kind.path}", **query)
    found = []
    for parent in await parents_of(stripe, kind):
        if kind.parent.segment is None:
            found += await walk(stripe, f"/v1/{kind.path}", **{kind.parent.param: parent})
        else:
            below = BY_NAME[kind.parent.collection].path
            found += await walk(stripe, f"/v1/{below}/{parent}/{kind.parent.segment}")
    return found


async def seed_everything(stripe: SandboxClient, count: int) -> None:
    for kind in COLLECTIONS:
        await stripe.seed(kind.name, count, created_from=int(NOW) - 20 * 86_400, events=True)


async def test_lists_dumps_and_reads_agree_after_a_history(stripe: SandboxClient) -> None:
    await seed_everything(stripe, 4)
    await stripe.control("POST", "/changes", {"count": 400, "seed": 3})
    for kind in COLLECTIONS:
        dumped = await stripe.control("GET", f"/objects/{kind.name}")
        found = await listed(stripe, kind)
        assert found, kind.name
        key = [value["id"] for value in found]
        assert len(key) == len(set(key)), kind.name
        if kind.parent is None:
            assert found == dumped, kind.name
        else:
            assert sorted(found, key=lambda value: value["id"]) == sorted(dumped, key=lambda value: value["id"])
        for value in dumped[:3]:
            assert value["object"] == kind.object
            if kind.path is not None and kind.readable:
                assert (await stripe.get(f"/v1/{kind.path}/{value['id']}")).value == value


async def test_the_same_seed_makes_the_same_history(stripe: SandboxClient) -> None:
    async def history() -> list[Any]:
        await stripe.control("POST", "/reset", {"seed": 11})
        await stripe.control("POST", "/rate_limit", {})
        await seed_everything(stripe, 2)
        changes = await stripe.control("POST", "/changes", {"count": 200, "seed": 5})
        dumps = [await stripe.control("GET", f"/objects/{name}") for name in NAMES]
        return [changes, dumps, await stripe.events()]

    first = await history()
    assert first == await history()
    assert {change["kind"] for change in first[0]} == {"insert", "update", "delete"}


@pytest.mark.parametrize("name", [kind.name for kind in COLLECTIONS if kind.path is not None and not kind.list_needs])
async def test_created_ranges_are_where_the_api_has_them(stripe: SandboxClient, name: str) -> None:
    kind = BY_NAME[name]
    await stripe.seed(name, 6, created_from=int(NOW) - 600, created_until=int(NOW) - 100)
    query = EVERY_EXTRA.get(name, {})
    reply = await stripe.get(f"/v1/{kind.path}", {"created[gte]": int(NOW) - 50, **query})
    if not kind.created_filter:
        assert (reply.status, reply.error["param"]) == (400, "created")
        return
    assert reply.value["data"] == []
    assert kind.created_field is not None
    whole = (await stripe.get(f"/v1/{kind.path}", {"limit": 100, **query})).value["data"]
    times = [value[kind.created_field] for value in whole]
    assert times == sorted(times, reverse=True)
    middle = times[len(times) // 2]
    part = (await stripe.get(f"/v1/{kind.path}", {"created[lte]": middle, "limit": 100, **query})).value["data"]
    assert [value["id"] for value in part] == [value["id"] for value in whole if value[kind.created_field] <= middle]


def allows_none(annotation: Any) -> bool:
    return get_origin(annotation) in {Union, types.UnionType} and type(None) in get_args(annotation)


def misfits(value: dict[str, Any], annotations: dict[str, Any]) -> list[str]:
    """Fields that the library's model does not know, or that it wants and are not there."""
    wrong = [f"unknown {name}" for name in value.keys() - annotations.keys()]
    for name, annotation in annotations.items():
        if name.startswith("_"):
            continue
        if allows_none(annotation):
            continue
        if value.get(name) is None:
            wrong.append(f"missing {name}")
        elif (get_origin(annotation) is Literal and value[name] not in get_args(annotation)) or (
            annotation in {int, str, bool} and type(value[name]) is not annotation
        ):
            wrong.append(f"{name} = {value[name]!r}")
        elif get_origin(annotation) is list and not isinstance(value[name], list):
            wrong.append(f"{name} is no list")
    return wrong


async def test_objects_have_the_fields_of_the_librarys_models(stripe: SandboxClient) -> None:
    await seed_everything(stripe, 4)
    await stripe.control("POST", "/changes", {"count": 300, "seed": 4})
    wrong: dict[str, str] = {}
    for kind in COLLECTIONS:
        model = get_object_class("V1", kind.object)
        assert model is not library.StripeObject, kind.object
        annotations = {name: wanted for name, wanted in vars(model)["__annotations__"].items() if name != "OBJECT_NAME"}
        for value in await stripe.control("GET", f"/objects/{kind.name}"):
            for misfit in misfits(value, annotations):
                wrong.setdefault(f"{kind.name}: {misfit}", value["id"])
    assert wrong == {}
