"""How the official library does each operation of each collection, and why some cannot be done."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import stripe as library

Api = Any
"""The library's `StripeClient(...).v1`."""
Ids = dict[str, str]
"""An object to build upon, by collection."""

NO_CREATE = "the API has no create"
NO_UPDATE = "the API has no update"
NO_DELETE = "the API has no delete"
NO_READ = "the API has no read by id"


@dataclass(frozen=True)
class Row:
    """A collection's calls; a text stands for an operation that the API does not have."""

    name: str
    model: type[library.StripeObject]
    service: Callable[[Api], Any]
    create: Callable[[Api, Ids], Any] | str = NO_CREATE
    update: Callable[[Api, Any], Any] | str = NO_UPDATE
    delete: Callable[[Api, Any], Any] | str = NO_DELETE
    deleted: str = "ok"
    """What the cell says after `delete`."""
    below: str | None = None
    """The parent whose id comes first in reads."""
    query: Callable[[Ids], dict[str, Any]] = lambda _: {}
    retrieve: str | None = None
    """Why there is no read by id."""


def _described(service: Callable[[Api], Any]) -> Callable[[Api, Any], Any]:
    return lambda api, made: service(api).update(made.id, {"description": "changed", "metadata": {"a": "1"}})


def _marked(service: Callable[[Api], Any]) -> Callable[[Api, Any], Any]:
    return lambda api, made: service(api).update(made.id, {"metadata": {"a": "1"}})


def _row(
    name: str,
    model: type[library.StripeObject],
    service: Callable[[Api], Any],
    create: Callable[[Ids], dict[str, Any]] | None = None,
    *,
    described: bool = False,
    **more: Any,
) -> Row:
    """A collection of the usual kind: created from parameters, updated by metadata."""
    calls: dict[str, Any] = {"update": _described(service) if described else _marked(service)}
    if create is not None:
        calls["create"] = lambda api, ids: service(api).create(create(ids))
    return Row(name, model, service, **{**calls, **more})


def _attached(api: Api, ids: Ids) -> Any:
    made = api.payment_methods.create(
        {"type": "card", "card": {"number": "4242424242424242", "exp_month": 3, "exp_year": 2031, "cvc": "123"}}
    )
    return api.payment_methods.attach(made.id, {"customer": ids["customer"]})


def _detached(api: Api, made: Any) -> None:
    assert api.payment_methods.detach(made.id).customer is None
    assert made.id not in [entry.id for entry in api.customers.payment_methods.list(made.customer).data]
    assert api.payment_methods.retrieve(made.id).customer is None


def _confirmed_and_canceled(service: Callable[[Api], Any]) -> Callable[[Api, Any], Any]:
    def run(api: Api, made: Any) -> None:
        assert service(api).cancel(made.id).status == "canceled"

    return run


def _one_time(ids: Ids) -> dict[str, Any]:
    return {"line_items": [{"price": ids["price"], "quantity": 2}]}


def _issued(ids: Ids) -> dict[str, Any]:
    return {"currency": "usd", "type": "virtual", "cardholder": ids["issuing_cardholder"]}


def _open_invoice(api: Api, ids: Ids) -> str:
    draft = api.invoices.create({"customer": ids["customer"]})
    api.invoices.add_lines(draft.id, {"lines": [{"amount": 5_000, "description": "work"}]})
    opened = api.invoices.finalize_invoice(draft.id)
    assert (opened.status, opened.amount_due) == ("open", 5_000)
    return str(opened.id)


def _credit(api: Api, ids: Ids) -> Any:
    return api.credit_notes.create({"invoice": _open_invoice(api, ids), "amount": 700})


def _new_account(api: Api, ids: Ids) -> Any:
    return api.accounts.create({"type": "express", "country": "PT", "email": "shop@example.com"})


def _gone_account(api: Api, made: Any) -> None:
    assert api.accounts.delete(made.id).deleted is True
    assert made.id not in [entry.id for entry in api.accounts.list().data]


def _undisputed(api: Api, _: Ids) -> str:
    paid = api.issuing.transactions.list({"limit": 100}).data
    # No next(): a StopIteration would never leave the thread.
    return [str(entry.id) for entry in paid if entry.dispute is None][0]  # noqa: RUF015


ROWS: tuple[Row, ...] = (
    _row(
        "price",
        library.Price,
        lambda api: api.prices,
        lambda ids: {
            "currency": "usd",
            "product": ids["product"],
            "unit_amount": 900,
            "recurring": {"interval": "month"},
        },
        delete="the API has no delete (active=false)",
    ),
    _row(
        "promotion_code",
        library.PromotionCode,
        lambda api: api.promotion_codes,
        lambda ids: {"promotion": {"type": "coupon", "coupon": ids["coupon"]}},
    ),
    _row(
        "tax_rate",
        library.TaxRate,
        lambda api: api.tax_rates,
        lambda _: {"display_name": "VAT", "inclusive": False, "percentage": 21.5},
        described=True,
    ),
    _row(
        "shipping_rate",
        library.ShippingRate,
        lambda api: api.shipping_rates,
        lambda _: {"display_name": "By boat", "type": "fixed_amount", "fixed_amount": {"amount": 5, "currency": "usd"}},
        delete="the API has no delete (active=false)",
    ),
    Row(
        "subscription_item",
        library.SubscriptionItem,
        lambda api: api.subscription_items,
        create=lambda api, ids: api.subscription_items.create(
            {"subscription": ids["subscription"], "price": ids["matching_price"], "quantity": 2}
        ),
        update=lambda api, made: api.subscription_items.update(made.id, {"quantity": 7, "metadata": {"a": "1"}}),
        delete=lambda api, made: api.subscription_items.delete(made.id),
        query=lambda ids: {"subscription": ids["subscription"]},
    ),
    _row(
        "subscription_schedule",
        library.SubscriptionSchedule,
        lambda api: api.subscription_schedules,
        lambda ids: {
            "customer": ids["customer"],
            "start_date": "now",
            "phases": [{"items": [{"price": ids["plan"], "quantity": 1}]}],
        },
        delete=lambda api, made: api.subscription_schedules.release(made.id),
        deleted="the API has no delete (release, cancel work)",
    ),
    Row(
        "invoice_line_item",
        library.InvoiceLineItem,
        lambda api: api.invoices.line_items,
        create=lambda api, ids: api.invoices.add_lines(
            ids["invoice"], {"lines": [{"amount": 300, "description": "more"}]}
        ).lines.data[-1],
        update=lambda api, made: api.invoices.line_items.update(
            made.invoice, made.id, {"amount": 350, "metadata": {"a": "1"}}
        ),
        delete=lambda api, made: api.invoices.remove_lines(
            made.invoice, {"lines": [{"id": made.id, "behavior": "delete"}]}
        ),
        deleted="ok (remove_lines)",
        below="invoice",
        retrieve=NO_READ,
    ),
    _row(
        "invoice_item",
        library.InvoiceItem,
        lambda api: api.invoice_items,
        lambda ids: {"customer": ids["customer"], "amount": 250, "currency": "usd", "invoice": ids["invoice"]},
        described=True,
        delete=lambda api, made: api.invoice_items.delete(made.id),
    ),
    Row(
        "credit_note",
        library.CreditNote,
        lambda api: api.credit_notes,
        create=_credit,
        update=_marked(lambda api: api.credit_notes),
        delete=lambda api, made: api.credit_notes.void_credit_note(made.id),
        deleted="the API has no delete (void works)",
    ),
    Row(
        "customer_balance_transaction",
        library.CustomerBalanceTransaction,
        lambda api: api.customers.balance_transactions,
        create=lambda api, ids: api.customers.balance_transactions.create(
            ids["customer"], {"amount": -500, "currency": "usd"}
        ),
        update=lambda api, made: api.customers.balance_transactions.update(
            made.customer, made.id, {"metadata": {"a": "1"}}
        ),
        below="customer",
    ),
    Row(
        "tax_id",
        library.TaxId,
        lambda api: api.customers.tax_ids,
        create=lambda api, ids: api.customers.tax_ids.create(ids["customer"], {"type": "eu_vat", "value": "DE1"}),
        delete=lambda api, made: api.customers.tax_ids.delete(made.customer, made.id),
        below="customer",
    ),
    _row(
        "quote",
        library.Quote,
        lambda api: api.quotes,
        lambda ids: {"customer": ids["customer"], **_one_time(ids)},
        described=True,
        delete=lambda api, made: (api.quotes.finalize_quote(made.id), api.quotes.accept(made.id)),
        deleted="the API has no delete (finalize, accept, cancel work)",
    ),
    Row(
        "payment_method",
        library.PaymentMethod,
        lambda api: api.customers.payment_methods,
        create=_attached,
        update=_marked(lambda api: api.payment_methods),
        delete=_detached,
        deleted="ok (detach: leaves the customer, stays readable)",
        below="customer",
    ),
    _row(
        "payment_intent",
        library.PaymentIntent,
        lambda api: api.payment_intents,
        lambda ids: {"amount": 1_999, "currency": "usd", "customer": ids["customer"]},
        described=True,
        delete=_confirmed_and_canceled(lambda api: api.payment_intents),
        deleted="the API has no delete (cancel works)",
    ),
    _row(
        "setup_intent",
        library.SetupIntent,
        lambda api: api.setup_intents,
        lambda ids: {"customer": ids["customer"]},
        described=True,
        delete=_confirmed_and_canceled(lambda api: api.setup_intents),
        deleted="the API has no delete (cancel works)",
    ),
    _row(
        "charge",
        library.Charge,
        lambda api: api.charges,
        lambda _: {"amount": 2_000, "currency": "usd", "source": "tok_visa"},
        described=True,
    ),
    _row(
        "refund",
        library.Refund,
        lambda api: api.refunds,
        lambda ids: {"charge": ids["charge"], "amount": 10},
    ),
    _row("dispute", library.Dispute, lambda api: api.disputes),
    Row("early_fraud_warning", library.radar.EarlyFraudWarning, lambda api: api.radar.early_fraud_warnings),
    Row(
        "review",
        library.Review,
        lambda api: api.reviews,
        update="the API has no update (approve works)",
    ),
    Row("balance_transaction", library.BalanceTransaction, lambda api: api.balance_transactions),
    _row(
        "payout",
        library.Payout,
        lambda api: api.payouts,
        lambda _: {"amount": 4_000, "currency": "usd"},
        delete=lambda api, made: api.payouts.cancel(made.id),
        deleted="the API has no delete (cancel works)",
    ),
    _row(
        "topup",
        library.Topup,
        lambda api: api.topups,
        lambda _: {"amount": 4_000, "currency": "usd"},
        described=True,
        delete=lambda api, made: api.topups.cancel(made.id),
        deleted="the API has no delete (cancel works)",
    ),
    _row(
        "checkout_session",
        library.checkout.Session,
        lambda api: api.checkout.sessions,
        lambda ids: {"mode": "payment", "success_url": "https://example.com/ok", **_one_time(ids)},
        delete=lambda api, made: api.checkout.sessions.expire(made.id),
        deleted="the API has no delete (expire works)",
    ),
    Row(
        "checkout_session_line_item",
        library.LineItem,
        lambda api: api.checkout.sessions.line_items,
        create="made with the session",
        below="checkout_session",
        retrieve=NO_READ,
    ),
    _row(
        "payment_link",
        library.PaymentLink,
        lambda api: api.payment_links,
        _one_time,
        delete="the API has no delete (active=false)",
    ),
    Row(
        "account",
        library.Account,
        lambda api: api.accounts,
        create=_new_account,
        update=_marked(lambda api: api.accounts),
        delete=_gone_account,
    ),
    _row(
        "transfer",
        library.Transfer,
        lambda api: api.transfers,
        lambda ids: {"amount": 400, "currency": "usd", "destination": ids["account"]},
        described=True,
    ),
    Row(
        "transfer_reversal",
        library.TransferReversal,
        lambda api: api.transfers.reversals,
        create=lambda api, ids: api.transfers.reversals.create(ids["transfer"], {"amount": 10}),
        update=lambda api, made: api.transfers.reversals.update(made.transfer, made.id, {"metadata": {"a": "1"}}),
        below="transfer",
    ),
    Row("application_fee", library.ApplicationFee, lambda api: api.application_fees),
    _row(
        "issuing_cardholder",
        library.issuing.Cardholder,
        lambda api: api.issuing.cardholders,
        lambda _: {
            "name": "Ana Ruiz",
            "type": "individual",
            "billing": {"address": {"city": "Lisboa", "country": "PT", "line1": "Rua 1", "postal_code": "1100-148"}},
        },
        delete="the API has no delete (status=inactive)",
    ),
    _row(
        "issuing_card",
        library.issuing.Card,
        lambda api: api.issuing.cards,
        _issued,
        delete="the API has no delete (status=canceled)",
    ),
    _row("issuing_authorization", library.issuing.Authorization, lambda api: api.issuing.authorizations),
    _row("issuing_transaction", library.issuing.Transaction, lambda api: api.issuing.transactions),
    Row(
        "issuing_dispute",
        library.issuing.Dispute,
        lambda api: api.issuing.disputes,
        create=lambda api, ids: api.issuing.disputes.create({"transaction": _undisputed(api, ids)}),
        update=_marked(lambda api: api.issuing.disputes),
        delete=lambda api, made: api.issuing.disputes.submit(made.id),
        deleted="the API has no delete (submit works)",
    ),
    Row(
        "file",
        library.File,
        lambda api: api.files,
        create="not here: uploads go to another host",
    ),
    _row(
        "file_link",
        library.FileLink,
        lambda api: api.file_links,
        lambda ids: {"file": ids["file"]},
    ),
    _row(
        "webhook_endpoint",
        library.WebhookEndpoint,
        lambda api: api.webhook_endpoints,
        lambda _: {"url": "https://example.com/hook", "enabled_events": ["customer.created"]},
        described=True,
        delete=lambda api, made: api.webhook_endpoints.delete(made.id),
    ),
)
"""Every collection but those that the test works through by hand."""
