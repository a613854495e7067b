"""The API's reads and writes, once key, limits and faults have let a request through."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from springline.sandbox.stripe.accounts import EMBEDDED_ENTRIES, Account
from springline.sandbox.stripe.answers import Answer, Chunk, Page, answer_value
from springline.sandbox.stripe.collection import Collection, Operation, Parent
from springline.sandbox.stripe.errors import StripeError, parameter_empty, resource_missing, unknown_url
from springline.sandbox.stripe.events import EVENT_FILTERS, event_types_wanted, is_wanted
from springline.sandbox.stripe.expand import expand
from springline.sandbox.stripe.forms import Form
from springline.sandbox.stripe.params import integer, list_of, read_params, text, time_range
from springline.sandbox.stripe.records import Record, Table, Window
from springline.sandbox.stripe.texts import Object, parse, pretty
from springline.sandbox.stripe.writes import Write, deleted_stub

_PAGE = {
    "limit": integer(least=1, most=100),
    "starting_after": text(),
    "ending_before": text(),
}
_CREATED = {"created": time_range()}
_EXPAND = {"expand": list_of(text(unsettable=False))}


@dataclass(frozen=True, slots=True)
class Sight:
    """What a read sees: normally the account as it is, under a fault an older or a partial picture."""

    tables: Mapping[str, Table]
    events: Table
    hides: Callable[[Record], bool] = field(default=lambda _: False)


def read_list(
    collection: Collection, form: Form, *, account: Account, sight: Sight, parent_id: str | None = None
) -> Answer:
    """`GET /v1/{path}`: one page, newest first. With `parent_id`, of what is below that parent."""
    takes = {
        **_PAGE,
        **(_CREATED if collection.created_filter else {}),
        **_EXPAND,
        **{name: wanted.parse for name, wanted in collection.filters.items()},
    }
    needs = () if parent_id is not None else collection.list_needs
    params = read_params(form, takes, needs=needs, unsupported=collection.unsupported_filters)
    url = f"/v1/{collection.path}"
    table = sight.tables[collection.name]
    parent = collection.parent
    if parent is not None and parent_id is not None:
        _check_parent(parent, parent_id, account=account, sight=sight)
        url = f"/v1/{account.kinds[parent.collection].path}/{parent_id}/{parent.segment}"
        table = table.of(parent_id)
    elif parent is not None and params.get(parent.param) is not None:
        table = table.of(params[parent.param])
    given = [(kind, params[name]) for name, kind in collection.filters.items() if name in params]
    defaults = [check for name, check in collection.accepts_by_default.items() if name not in params]
    if parent_id is not None:
        defaults = []

    def accepts(record: Record) -> bool:
        return (
            not sight.hides(record)
            and all(kind.accepts(wanted, record.fields) for kind, wanted in given)
            and all(check(record.fields) for check in defaults)
        )

    records, has_more = table.page(_window(params, table, noun=collection.object), accepts)
    chunks = [Chunk(record.text, record.raw) for record in records]
    if params.get("expand"):
        chunks = _expanded_page(chunks, params["expand"], account)
    return Answer(page=Page(url, chunks, has_more))


def read_one(
    collection: Collection,
    object_id: str,
    form: Form,
    *,
    account: Account,
    sight: Sight,
    parent_id: str | None = None,
) -> Answer:
    """`GET /v1/{path}/{id}`. Raises StripeError `resource_missing`, also for another parent's object."""
    params = read_params(form, _EXPAND)
    if not collection.readable:
        raise unknown_url("GET", f"/v1/{collection.path}/{object_id}")
    parent = collection.parent
    if parent is not None and parent_id is not None:
        _check_parent(parent, parent_id, account=account, sight=sight)
    record = sight.tables[collection.name].get(object_id)
    if record is None or sight.hides(record) or (parent_id is not None and record.parent != parent_id):
        if object_id in account.deleted[collection.name]:
            return answer_value(deleted_stub(collection, object_id))
        raise resource_missing(collection.object, object_id)
    if params.get("expand"):
        value = record.value()
        expand(value, params["expand"], related=_InAccount(account))
        return answer_value(value)
    return Answer(chunk=Chunk(record.text, record.raw))


def read_events(form: Form, *, sight: Sight) -> Answer:
    """`GET /v1/events`."""
    wanted = event_types_wanted(form)
    params = read_params(form, {**_PAGE, **_CREATED, **_EXPAND, **EVENT_FILTERS, "delivery_success": text()})

    def accepts(record: Record) -> bool:
        return is_wanted(record.fields["type"], wanted) and not sight.hides(record)

    records, has_more = sight.events.page(_window(params, sight.events, noun="event"), accepts)
    return Answer(page=Page("/v1/events", [Chunk(record.text, record.raw) for record in records], has_more))


def read_event(event_id: str, form: Form, *, sight: Sight) -> Answer:
    """`GET /v1/events/{id}`."""
    read_params(form, _EXPAND)
    record = sight.events.get(event_id)
    if record is None or sight.hides(record):
        raise resource_missing("event", event_id)
    return Answer(chunk=Chunk(record.text, record.raw))


def create(collection: Collection, form: Form, *, write: Write, parent_id: str | None = None) -> Answer:
    """`POST /v1/{path}`."""
    if collection.create is None:
        raise unknown_url("POST", f"/v1/{collection.path}")
    return _run(collection, collection.create, {}, form, write=write, parent_id=parent_id)


def update(collection: Collection, object_id: str, form: Form, *, write: Write, parent_id: str | None = None) -> Answer:
    """`POST /v1/{path}/{id}`."""
    if collection.update is None:
        raise unknown_url("POST", f"/v1/{collection.path}/{object_id}")
    value = _own(collection, object_id, write=write, parent_id=parent_id)
    return _run(collection, collection.update, value, form, write=write, parent_id=parent_id)


def delete(collection: Collection, object_id: str, form: Form, *, write: Write, parent_id: str | None = None) -> Answer:
    """`DELETE /v1/{path}/{id}`."""
    if collection.delete is None:
        raise unknown_url("DELETE", f"/v1/{collection.path}/{object_id}")
    value = _own(collection, object_id, write=write, parent_id=parent_id)
    return _run(collection, collection.delete, value, form, write=write)


def take_out(collection: Collection, object_id: str, *, write: Write) -> Answer:
    """What the API has to make an object leave its lists: mostly its deletion."""
    if collection.removal is None:
        raise unknown_url("DELETE", f"/v1/{collection.path}/{object_id}")
    return _run(collection, collection.removal, write.find(collection.name, object_id), {}, write=write)


def act(collection: Collection, object_id: str, action: str, form: Form, *, write: Write) -> Answer:
    """`POST /v1/{path}/{id}/{action}`."""
    if action not in collection.actions:
        raise unknown_url("POST", f"/v1/{collection.path}/{object_id}/{action}")
    return _run(collection, collection.actions[action], write.find(collection.name, object_id), form, write=write)


def account_value(account: Account) -> Object:
    """`GET /v1/account`: a standard account that may do everything."""
    return {
        "id": account.id,
        "object": "account",
        "business_profile": {"name": account.name, "url": "https://example.com"},
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": "US",
        "created": account.created,
        "default_currency": "usd",
        "details_submitted": True,
        "email": "owner@example.com",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": account.name, "timezone": "Etc/UTC"}},
        "type": "standard",
    }


def balance_value(account: Account) -> Object:
    """`GET /v1/balance`."""
    nothing = [{"amount": 0, "currency": "usd", "source_types": {"card": 0}}]
    return {"object": "balance", "available": nothing, "livemode": account.livemode, "pending": nothing}


def _check_parent(parent: Parent, parent_id: str, *, account: Account, sight: Sight) -> None:
    if parent_id not in sight.tables[parent.collection]:
        raise resource_missing(account.kinds[parent.collection].object, parent_id, param=parent.collection)


def _own(collection: Collection, object_id: str, *, write: Write, parent_id: str | None) -> Object:
    """The object that a path names. Raises StripeError where it is another parent's."""
    record = write.account.tables[collection.name].get(object_id)
    if parent_id is not None and record is not None and record.parent != parent_id:
        raise resource_missing(collection.object, object_id)
    return write.find(collection.name, object_id)


def _run(
    collection: Collection,
    operation: Operation,
    value: Object,
    form: Form,
    *,
    write: Write,
    parent_id: str | None = None,
) -> Answer:
    takes = {**operation.takes, **_EXPAND}
    params = read_params(form, takes, needs=operation.needs, unsupported=operation.unsupported)
    paths = params.pop("expand", None)
    if collection.parent is not None and parent_id is not None:
        write.find(collection.parent.collection, parent_id, param=collection.parent.collection)
        params[collection.parent.param] = parent_id
    if not paths:
        return answer_value(write.account.shown(collection.name, operation.run(write, value, params)))
    before = write.account.checkpoint()
    result = write.account.shown(collection.name, operation.run(write, value, params))
    try:
        expand(result, paths, related=_InAccount(write.account))
    except StripeError:
        # Whether a path leads anywhere shows on the object only; a refused request has changed nothing.
        write.account.restore(before)
        raise
    return answer_value(result)


def _window(params: Mapping[str, Any], table: Table, *, noun: str) -> Window:
    for name in ("starting_after", "ending_before"):
        if name in params:
            if params[name] is None:
                raise parameter_empty(name)
            if params[name] not in table:
                raise resource_missing(noun, params[name], param=name, status=400)
    if "starting_after" in params and "ending_before" in params:
        raise StripeError(
            "Received both starting_after and ending_before parameters. Please pass in only one.",
            code="parameters_exclusive",
        )
    earliest, latest = params.get("created", (None, None))
    return Window(
        limit=params.get("limit", 10),
        earliest=earliest,
        latest=latest,
        after=params.get("starting_after"),
        before=params.get("ending_before"),
    )


def _expanded_page(chunks: list[Chunk], paths: list[str], account: Account) -> list[Chunk]:
    for path in paths:
        if path.split(".")[0] != "data":
            raise StripeError(
                f"This property cannot be expanded ({path}). You may want to try expanding 'data.{path}' instead."
            )
    page = {"data": [parse(chunk.text) for chunk in chunks]}
    expand(page, paths, related=_InAccount(account))
    return [Chunk(pretty(value)) for value in page["data"]]


@dataclass(frozen=True, slots=True)
class _InAccount:
    """What the account's objects lead to."""

    account: Account

    def find(self, collection: str, object_id: str) -> Object | None:
        record = self.account.tables[collection].get(object_id)
        if record is None:
            gone = object_id in self.account.deleted[collection]
            return deleted_stub(self.account.kinds[collection], object_id) if gone else None
        return record.value()

    def listing(self, collection: str, owner: Object) -> Object:
        table, kind = self.account.tables[collection], self.account.kinds[collection]
        if kind.parent is not None:
            parent = self.account.kinds[kind.parent.collection]
            url, records = f"/v1/{parent.path}/{owner['id']}/{kind.parent.segment}", list(table.of(owner["id"]))
        else:
            url = f"/v1/{kind.path}?{owner['object']}={owner['id']}"
            records = table.where(**{owner["object"]: owner["id"]})
        entries = [record.value() for record in records[:EMBEDDED_ENTRIES]]
        return {"object": "list", "data": entries, "has_more": len(records) > EMBEDDED_ENTRIES, "url": url}
