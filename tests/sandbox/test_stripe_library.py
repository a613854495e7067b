"""The official library, unmodified, does with the sandbox what it does with Stripe."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import requests
import stripe as library
from tabulate import tabulate
from tests.sandbox.library_calls import ROWS, Row
from tests.sandbox.sandbox_client import KEY, NOW, SandboxClient

from springline.sandbox.stripe.collections import COLLECTIONS

SEEDED = 120
OPERATIONS = ("create", "retrieve", "list", "page", "update", "delete")


class LibraryUser:
    """Works through every operation of every collection and notes what happened."""

    def __init__(self, client: library.StripeClient) -> None:
        self._api = client.v1
        self.cells: dict[tuple[str, str], str] = {}

    def work(self) -> None:
        self._customers()
        self._products()
        self._plans()
        self._coupons()
        self._subscriptions()
        self._invoices()
        self._events()
        ids = self._ids()
        for row in ROWS:
            self._row(row, ids)

    def _reads(self, name: str, service: Any, object_id: str) -> None:
        assert service.retrieve(object_id).id == object_id
        self.cells[name, "retrieve"] = "ok"
        first = service.list({"limit": 3})
        assert [type(first), len(first.data), first.has_more] == [library.ListObject, 3, True]
        self.cells[name, "list"] = "ok"
        seen = [entry.id for entry in service.list({"limit": 100}).auto_paging_iter()]
        assert len(seen) == len(set(seen)) > 100
        assert object_id in seen
        self.cells[name, "page"] = f"ok ({len(seen)} objects)"

    def _gone(self, retrieve: Callable[[str], Any], object_id: str) -> None:
        with pytest.raises(library.InvalidRequestError) as caught:
            retrieve(object_id)
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")

    def _customers(self) -> None:
        service = self._api.customers
        made = service.create({"email": "ana@example.com", "metadata": {"crm_id": "42"}, "address": {"city": "Madrid"}})
        assert (made.email, made.livemode, made.address and made.address.city) == ("ana@example.com", False, "Madrid")
        self.cells["customer", "create"] = "ok"
        self._reads("customer", service, made.id)
        changed = service.update(made.id, {"name": "Ana", "metadata": {"crm_id": "", "tier": "team"}})
        assert (changed.name, changed.metadata and changed.metadata.to_dict()) == ("Ana", {"tier": "team"})
        self.cells["customer", "update"] = "ok"
        assert service.delete(made.id).deleted is True
        assert service.retrieve(made.id).deleted is True
        self.cells["customer", "delete"] = "ok (stub stays readable)"

    def _products(self) -> None:
        service = self._api.products
        made = service.create(
            {"name": "Gold", "package_dimensions": {"height": 1, "length": 2.5, "weight": 3, "width": 4}}
        )
        assert (made.name, made.active, made.type) == ("Gold", True, "service")
        self.cells["product", "create"] = "ok"
        self._reads("product", service, made.id)
        assert service.update(made.id, {"active": False}).active is False
        self.cells["product", "update"] = "ok"
        assert service.delete(made.id).deleted is True
        self._gone(service.retrieve, made.id)
        self.cells["product", "delete"] = "ok (unless it has prices)"

    def _plans(self) -> None:
        service = self._api.plans
        made = service.create({"amount": 1200, "currency": "usd", "interval": "month", "product": {"name": "Silver"}})
        assert (made.amount, made.interval, made.usage_type) == (1200, "month", "licensed")
        self.cells["plan", "create"] = "ok"
        self._reads("plan", service, made.id)
        assert service.update(made.id, {"nickname": "silver"}).nickname == "silver"
        self.cells["plan", "update"] = "ok"
        assert service.delete(made.id).deleted is True
        self._gone(service.retrieve, made.id)
        self.cells["plan", "delete"] = "ok"

    def _coupons(self) -> None:
        service = self._api.coupons
        made = service.create({"id": "AUTUMN 25%", "percent_off": 25.5, "duration": "once"})
        assert (made.id, made.percent_off, made.valid) == ("AUTUMN 25%", 25.5, True)
        self.cells["coupon", "create"] = "ok"
        self._reads("coupon", service, made.id)
        assert service.update(made.id, {"name": "Autumn"}).name == "Autumn"
        self.cells["coupon", "update"] = "ok"
        assert service.delete(made.id).deleted is True
        self._gone(service.retrieve, made.id)
        self.cells["coupon", "delete"] = "ok"

    def _subscriptions(self) -> None:
        service = self._api.subscriptions
        customer = self._api.customers.create({"email": "sub@example.com"})
        plan = self._api.plans.create(
            {"amount": 500, "currency": "usd", "interval": "month", "product": {"name": "Bronze"}}
        )
        made = service.create({"customer": customer.id, "items": [{"price": plan.id, "quantity": 3}]})
        assert (made.status, made["items"].data[0].price.unit_amount) == ("active", 500)
        self.cells["subscription", "create"] = "ok"
        self._reads("subscription", service, made.id)
        whole = service.retrieve(made.id, {"expand": ["customer", "latest_invoice"]})
        assert isinstance(whole.customer, library.Customer)
        assert isinstance(whole.latest_invoice, library.Invoice)
        assert (whole.customer.email, whole.latest_invoice.amount_paid) == ("sub@example.com", 1500)
        entry = made["items"].data[0].id
        changed = service.update(made.id, {"items": [{"id": entry, "quantity": 5}], "cancel_at_period_end": True})
        assert (changed["items"].data[0].quantity, changed.cancel_at_period_end) == (5, True)
        self.cells["subscription", "update"] = "ok"
        assert service.cancel(made.id).status == "canceled"
        assert service.retrieve(made.id).status == "canceled"
        assert made.id not in [entry.id for entry in service.list({"customer": customer.id}).data]
        assert made.id in [entry.id for entry in service.list({"customer": customer.id, "status": "all"}).data]
        self.cells["subscription", "delete"] = "ok (cancels; stays readable)"

    def _invoices(self) -> None:
        service = self._api.invoices
        customer = self._api.customers.create({"email": "inv@example.com"})
        made = service.create({"customer": customer.id, "description": "by hand"})
        assert (made.status, made.total, made.customer_email) == ("draft", 0, "inv@example.com")
        self.cells["invoice", "create"] = "ok"
        self._reads("invoice", service, made.id)
        assert service.update(made.id, {"footer": "Thanks"}).footer == "Thanks"
        self.cells["invoice", "update"] = "ok"
        assert service.delete(made.id).deleted is True
        self._gone(service.retrieve, made.id)
        self.cells["invoice", "delete"] = "ok (drafts only)"
        self._invoice_actions(customer.id)

    def _invoice_actions(self, customer_id: str) -> None:
        plan = self._api.plans.list({"limit": 1}).data[0]
        for end in ("pay", "void"):
            made = self._api.subscriptions.create(
                {
                    "customer": customer_id,
                    "items": [{"plan": plan.id}],
                    "collection_method": "send_invoice",
                    "days_until_due": 30,
                }
            )
            assert isinstance(made.latest_invoice, str)
            opened = self._api.invoices.finalize_invoice(made.latest_invoice)
            assert (opened.status, opened.amount_due, opened.number is not None) == ("open", plan.amount, True)
            with pytest.raises(library.InvalidRequestError, match="only delete draft"):
                self._api.invoices.delete(opened.id)
            ended = self._api.invoices.pay(opened.id) if end == "pay" else self._api.invoices.void_invoice(opened.id)
            assert ended.status == {"pay": "paid", "void": "void"}[end]
        self.cells["invoice", "update"] = "ok (also finalize, pay, void)"

    def _ids(self) -> dict[str, str]:
        """Objects that others are built upon."""
        api: Any = self._api
        price = api.prices.list({"limit": 1, "type": "one_time"}).data[0]
        plan = api.plans.create({"amount": 700, "currency": "usd", "interval": "month", "product": {"name": "Tin"}})
        customer = api.customers.create({"email": "rows@example.com"})
        running = api.subscriptions.create({"customer": customer.id, "items": [{"price": plan.id}]})
        lines = [{"price": price.id, "quantity": count} for count in range(1, 6)]
        session = api.checkout.sessions.create(
            {"mode": "payment", "success_url": "https://example.com/ok", "line_items": lines}
        )
        return {
            "account": api.accounts.list().data[0].id,
            "charge": api.charges.create({"amount": 90_000, "currency": "usd"}).id,
            "checkout_session": session.id,
            "coupon": api.coupons.list().data[0].id,
            "customer": customer.id,
            "file": api.files.list().data[0].id,
            "invoice": api.invoices.create({"customer": customer.id}).id,
            "issuing_cardholder": api.issuing.cardholders.list().data[0].id,
            "plan": plan.id,
            "price": price.id,
            "product": price.product,
            "subscription": running.id,
            "transfer": api.transfers.list().data[0].id,
        }

    def _row(self, row: Row, ids: dict[str, str]) -> None:
        """Every operation that the row has; what it has not is named in the cell."""
        api: Any = self._api
        service, before = row.service(api), (ids[row.below],) if row.below else ()
        made = self._made(row, api, ids) if callable(row.create) else service.list(*before).data[0]
        object_id: str = made.id
        self.cells[row.name, "create"] = "ok" if callable(row.create) else row.create
        assert type(made) is row.model
        if row.retrieve is None:
            found = service.retrieve(*before, object_id)
            assert (found.id, type(found)) == (object_id, row.model)
        self.cells[row.name, "retrieve"] = row.retrieve or "ok"
        first = service.list(*before, {"limit": 2, **row.query(ids)})
        assert (type(first), {type(entry) for entry in first.data}) == (library.ListObject, {row.model})
        self.cells[row.name, "list"] = "ok"
        seen = [entry.id for entry in service.list(*before, {"limit": 2, **row.query(ids)}).auto_paging_iter()]
        assert len(seen) == len(set(seen)) > (1 if row.below else 3)
        assert object_id in seen
        self.cells[row.name, "page"] = f"ok ({len(seen)} objects)"
        if callable(row.update):
            changed = row.update(api, made)
            assert changed.id == object_id
            if "metadata" in changed:
                assert changed.metadata.to_dict()["a"] == "1"
        self.cells[row.name, "update"] = "ok" if callable(row.update) else row.update
        if callable(row.delete):
            row.delete(api, made)
        self.cells[row.name, "delete"] = row.deleted if callable(row.delete) else row.delete

    def _made(self, row: Row, api: Any, ids: dict[str, str]) -> Any:
        """The last of several, so that there are pages."""
        assert callable(row.create)
        for number in range(4):
            if row.name == "subscription_item":
                price = api.prices.create(
                    {
                        "currency": "usd",
                        "product": ids["product"],
                        "recurring": {"interval": "month"},
                        "unit_amount": 100 + number,
                    }
                )
                ids["matching_price"] = price.id
            made = row.create(api, ids)
        return made

    def _events(self) -> None:
        newest = self._api.events.list({"types": ["customer.created", "customer.deleted"], "limit": 1}).data[0]
        assert newest.type == "customer.created"
        self._reads("event", self._api.events, newest.id)
        for operation in ("create", "update", "delete"):
            self.cells["event", operation] = f"the API has no {operation}"


@pytest.fixture
def library_client(stripe: SandboxClient) -> Iterator[library.StripeClient]:
    # The library's own session is never closed; one of ours is, so that no socket is left behind.
    with requests.Session() as session:
        session.trust_env = False
        yield library.StripeClient(
            KEY,
            base_addresses={"api": stripe.running.url},
            max_network_retries=2,
            http_client=library.RequestsClient(session=session),
        )


async def test_every_operation_of_every_collection(
    stripe: SandboxClient, library_client: library.StripeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("customer", "product", "plan", "coupon", "subscription", "invoice"):
        await stripe.seed(name, SEEDED, created_from=int(NOW) - 20 * 86_400, events=name == "customer")
    for row in ROWS:
        await stripe.seed(row.name, 6, created_from=int(NOW) - 20 * 86_400)
    await stripe.seed("issuing_transaction", 6)
    user = LibraryUser(library_client)
    await asyncio.to_thread(user.work)
    rows = list(dict.fromkeys(name for name, _ in user.cells))
    assert {*rows} == {kind.name for kind in COLLECTIONS} | {"event"}
    assert all((name, operation) in user.cells for name in rows for operation in OPERATIONS)
    table = tabulate(
        [[name, *(user.cells[name, operation] for operation in OPERATIONS)] for name in rows],
        headers=["stripe " + library.VERSION, *OPERATIONS],
    )
    with capsys.disabled():
        print(f"\n\nThe official library against the sandbox\n\n{table}\n")


async def test_the_librarys_errors(stripe: SandboxClient, library_client: library.StripeClient) -> None:
    def work() -> None:
        api = library_client.v1
        with pytest.raises(library.InvalidRequestError) as missing:
            api.products.create(cast("Any", {}))
        assert (missing.value.param, missing.value.code) == ("name", "parameter_missing")
        with pytest.raises(library.InvalidRequestError) as unknown:
            api.customers.create(cast("Any", {"favourite_colour": "blue"}))
        assert unknown.value.code == "parameter_unknown"
        first = api.customers.create({"name": "A"}, {"idempotency_key": "k1"})
        assert api.customers.create({"name": "A"}, {"idempotency_key": "k1"}).id == first.id
        with pytest.raises(library.IdempotencyError):
            api.customers.create({"name": "B"}, {"idempotency_key": "k1"})
        with pytest.raises(library.AuthenticationError):
            api.customers.list(options={"api_key": "rk_test_unknown"})

    await asyncio.to_thread(work)


async def test_the_library_retries_a_failing_request(
    stripe: SandboxClient, library_client: library.StripeClient
) -> None:
    fault = await stripe.control("POST", "/faults", {"kind": "status", "status": 503, "match": {"times": 1}})
    made = await asyncio.to_thread(library_client.v1.customers.create, {"name": "Once"})
    shown = await stripe.control("GET", f"/faults/{fault['id']}")
    assert (shown["fired"], shown["matched"]) == (1, 2)
    assert (await stripe.get("/v1/customers")).ids == [made.id]
