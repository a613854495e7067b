"""Stripe's description, held against Stripe's own Python library: its event names, list parameters and models."""

import re
import typing

import pytest
import stripe as library
from msgspec.structs import replace
from stripe import params

from springline.domain.errors import CredentialDead, NotFound, NotPermitted, RequestRejected
from springline.domain.records import PageRecord
from springline.providers.access import Answer, Request
from springline.providers.pages import PageParser
from springline.providers.stripe import stripe
from springline.providers.stripe.answers import classify
from springline.providers.vocabulary import Collection, Provider, placeholders

COLLECTIONS = {collection.name: collection for collection in stripe.collections}
DESCRIBED = {
    "account",
    "application_fee",
    "balance_transaction",
    "charge",
    "checkout_session",
    "checkout_session_line_item",
    "coupon",
    "credit_note",
    "customer",
    "customer_balance_transaction",
    "dispute",
    "early_fraud_warning",
    "event",
    "file",
    "file_link",
    "invoice",
    "invoice_item",
    "invoice_line_item",
    "issuing_authorization",
    "issuing_card",
    "issuing_cardholder",
    "issuing_dispute",
    "issuing_transaction",
    "payment_intent",
    "payment_link",
    "payment_method",
    "payout",
    "plan",
    "price",
    "product",
    "promotion_code",
    "quote",
    "refund",
    "review",
    "setup_intent",
    "shipping_rate",
    "subscription",
    "subscription_item",
    "subscription_schedule",
    "tax_id",
    "tax_rate",
    "topup",
    "transfer",
    "transfer_reversal",
    "webhook_endpoint",
}

# Whose name in the library is not simply ours in camel case.
MODELS = {
    "checkout_session": library.checkout.Session,
    "checkout_session_line_item": library.LineItem,
    "early_fraud_warning": library.radar.EarlyFraudWarning,
    "issuing_authorization": library.issuing.Authorization,
    "issuing_card": library.issuing.Card,
    "issuing_cardholder": library.issuing.Cardholder,
    "issuing_dispute": library.issuing.Dispute,
    "issuing_transaction": library.issuing.Transaction,
}


def model_of(collection: Collection) -> typing.Any:
    camel = "".join(part.capitalize() for part in collection.name.split("_"))
    return MODELS.get(collection.name) or getattr(library, camel)


def list_parameters(collection: Collection) -> set[str]:
    """The names that the library's list of this collection takes."""
    model = model_of(collection)
    name = {
        "transfer_reversal": "TransferListReversalsParams",
        "checkout_session_line_item": "SessionListLineItemsParams",
        "payment_method": "CustomerListPaymentMethodsParams",
        "tax_id": "CustomerListTaxIdsParams",
        "customer_balance_transaction": "CustomerListBalanceTransactionsParams",
        "invoice_line_item": "InvoiceListLinesParams",
    }.get(collection.name, f"{model.__name__}ListParams")
    places = (params, params.checkout, params.issuing, params.radar)
    places = places[1:] + places[:1] if collection.name.startswith(("issuing", "checkout", "early")) else places
    found = next(getattr(place, name) for place in places if hasattr(place, name))
    return set(found.__annotations__)


def test_these_collections_are_described() -> None:
    assert set(COLLECTIONS) == DESCRIBED


def test_events_are_those_that_stripe_has() -> None:
    known = set(typing.get_args(typing.get_type_hints(library.Event)["type"]))
    known |= set(re.findall(r'"([a-z_]+\.[a-z_.]+)"', str(library.Event.__annotations__["type"])))
    for collection in stripe.collections:
        if collection.feed is not None:
            assert set(collection.feed.types) <= known, collection.name
            assert len(collection.feed.types) == len(set(collection.feed.types))


@pytest.mark.parametrize("collection", stripe.collections, ids=lambda collection: collection.name)
def test_lists_are_asked_with_parameters_that_they_have(collection: Collection) -> None:
    known = list_parameters(collection)
    listing = collection.listing
    assert {name for name, _ in listing.query} | {"limit", "starting_after"} <= known
    assert (listing.until is None) == (listing.since is None)
    if listing.until is not None:
        assert "created" in known


@pytest.mark.parametrize("collection", stripe.collections, ids=lambda collection: collection.name)
def test_fields_are_those_of_the_models(collection: Collection) -> None:
    fields = {name for each in model_of(collection).__mro__ for name in getattr(each, "__annotations__", {})}
    assert "id" in fields
    assert collection.created is None or collection.created in fields
    assert collection.parent is None or collection.parent.field is None or collection.parent.field in fields
    if collection.created is None:
        assert "created" not in fields
    if collection.read is not None and collection.read.gone_when_null is not None:
        assert collection.read.gone_when_null in fields


@pytest.mark.parametrize("collection", stripe.collections, ids=lambda collection: collection.name)
def test_a_sweep_is_the_last_resort(collection: Collection) -> None:
    detection = collection.detection
    assert detection.inserts[-1] == "sweep"
    assert detection.updates[-1] == "sweep"
    assert detection.deletes[-1] == ("none" if collection.name in ("event", "review") else "sweep")


def test_what_paths_name_is_there() -> None:
    for collection in stripe.collections:
        for name in placeholders(collection.listing.path):
            ancestor, _, field = name.partition(".")
            assert field == "id"
            assert collection.parent is not None
            assert collection.parent.collection == ancestor


def test_a_detached_payment_method_is_gone() -> None:
    parser = PageParser(COLLECTIONS["payment_method"], COLLECTIONS["payment_method"].listing)
    assert parser.parse_record(b'{"id":"pm_1","created":1,"customer":null}') is None
    assert isinstance(parser.parse_record(b'{"id":"pm_1","created":1,"customer":"cus_1"}'), PageRecord)


@pytest.mark.parametrize(
    ("path", "status", "error", "expected"),
    [
        # Issuing is off: github.com/airbytehq/airbyte/issues/26483
        (
            "/v1/issuing/transactions",
            400,
            '"message":"Your account is not set up to use Issuing. Please visit '
            'https://dashboard.stripe.com/issuing/overview to get started.","type":"invalid_request_error"',
            NotPermitted,
        ),
        ("/v1/customers", 400, '"message":"Invalid integer: x","param":"limit"', RequestRejected),
        ("/v1/accounts/acct_9", 403, '"message":"no access","code":"account_invalid"', NotFound),
        ("/v1/customers", 403, '"message":"no access","code":"account_invalid"', CredentialDead),
        ("/v1/customers/cus_9/tax_ids", 404, '"code":"resource_missing","param":"customer"', NotFound),
    ],
)
def test_what_answers_mean(path: str, status: int, error: str, expected: type[Exception]) -> None:
    answer = Answer(status=status, headers={}, body=b'{"error":{%s}}' % error.encode())
    assert type(classify(Request(path=path), answer)) is expected


def test_a_query_may_name_ancestors_and_nothing_else() -> None:
    assert COLLECTIONS["subscription_item"].listing.query == (("subscription", "{subscription.id}"),)
    for wrong in ("{record.id}", "{id}", "{invoice.id}"):
        with pytest.raises(ValueError, match="subscription_item: the query of /v1/subscription_items names"):
            _with_query(wrong)


def _with_query(value: str) -> Provider:
    described = COLLECTIONS["subscription_item"]
    wrong = replace(described, listing=replace(described.listing, query=(("subscription", value),)))
    return replace(stripe, collections=(COLLECTIONS["customer"], COLLECTIONS["subscription"], wrong))
