"""Checkout: sessions with their line items, and payment links."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, Parent, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.operations import creation, modification, require_status, seeding
from springline.sandbox.stripe.errors import parameter_missing
from springline.sandbox.stripe.params import (
    Params,
    boolean,
    choice,
    email,
    hash_of,
    integer,
    list_of,
    metadata,
    text,
    timestamp,
)
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write

_DAY_SECONDS = 86_400
_PRICED = list_of(hash_of({"price": text(unsettable=False), "quantity": integer(least=1)}, needs=("price",)), most=100)


def _prices(write: Write, given: list[Params]) -> list[tuple[Object, int]]:
    """The prices that line items name, with their quantities."""
    return [
        (write.named("price", entry["price"], param=f"line_items[{index}][price]"), entry.get("quantity", 1))
        for index, entry in enumerate(given)
    ]


def _complete_session(write: Write, session: Object, params: Params) -> None:
    mode = "live" if session["livemode"] else "test"
    session["id"] = f"cs_{mode}_{write.new_id('', 58)}"
    if params.get("customer") is not None:
        write.named("customer", params["customer"], param="customer")
    if session["mode"] != "setup" and not params.get("line_items"):
        raise parameter_missing("line_items")
    if session["ui_mode"] == "hosted_page" and session["success_url"] is None:
        raise parameter_missing("success_url")
    priced = _prices(write, params.get("line_items") or [])
    total = sum((price["unit_amount"] or 0) * quantity for price, quantity in priced)
    session |= {
        "amount_subtotal": total,
        "amount_total": total,
        "currency": priced[0][0]["currency"] if priced else params.get("currency", "usd"),
        "expires_at": session["expires_at"] or write.now + _DAY_SECONDS,
        "url": f"https://checkout.stripe.com/c/pay/{session['id']}",
    }
    if session["mode"] == "setup":
        session["payment_status"] = "no_payment_required"


def _keep_line_items(write: Write, session: Object, params: Params) -> None:
    for price, quantity in _prices(write, params.get("line_items") or []):
        amount = (price["unit_amount"] or 0) * quantity
        entry = write.blank("checkout_session_line_item") | {
            "amount_subtotal": amount,
            "amount_total": amount,
            "currency": price["currency"],
            "description": price["nickname"] or price["id"],
            "price": price,
            "quantity": quantity,
        }
        write.insert("checkout_session_line_item", entry, parent=session["id"])


def _expire(write: Write, session: Object, _: Params) -> Object:
    require_status(session, "open", action="expire")
    return write.replace("checkout_session", session | {"status": "expired", "url": None}, "expired")


def _evolve_session(write: Write, session: Object, rng: Random) -> Object:
    """The customer pays, or leaves."""
    if rng.random() < 0.3:
        return _expire(write, session, {})
    session |= {"payment_status": "paid", "status": "complete", "url": None}
    session["customer_details"] = {
        "address": None,
        "email": f"buyer.{rng.randrange(10**6)}@example.com",
        "name": samples.person(rng),
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
    return write.replace("checkout_session", session, "completed")


_SESSION = creation(
    "checkout_session",
    {
        "allow_promotion_codes": boolean(),
        "billing_address_collection": choice("auto", "required"),
        "cancel_url": text(),
        "client_reference_id": text(max_length=200),
        "currency": text(unsettable=False, max_length=3),
        "customer": text(unsettable=False),
        "customer_email": email(),
        "expires_at": timestamp(),
        "line_items": _PRICED,
        "locale": text(),
        "metadata": metadata(),
        "mode": choice("payment", "setup", "subscription"),
        "payment_method_types": list_of(text(unsettable=False)),
        "success_url": text(),
        "ui_mode": choice("elements", "embedded_page", "form", "hosted_page"),
    },
    needs=("mode",),
    complete=_complete_session,
    after=_keep_line_items,
    unsupported=(
        "after_expiration", "automatic_tax", "consent_collection", "custom_fields", "custom_text",
        "customer_creation", "discounts", "invoice_creation", "payment_intent_data", "payment_method_options",
        "phone_number_collection", "return_url", "setup_intent_data", "shipping_address_collection",
        "shipping_options", "submit_type", "subscription_data", "tax_id_collection",
    ),
)  # fmt: skip


def _sample_lines(write: Write, rng: Random) -> list[Params]:
    return [
        {"price": samples.some_id(write, "price", rng), "quantity": rng.randrange(1, 9)}
        for _ in range(rng.randrange(1, 4))
    ]


CHECKOUT_SESSION = Collection(
    name="checkout_session",
    object_type="checkout.session",
    path="checkout/sessions",
    id_prefix="cs_",
    id_length=58,
    event_prefix="checkout.session",
    events=("async_payment_failed", "async_payment_succeeded", "completed", "expired"),
    fields={
        "adaptive_pricing": None,
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": None,
        "amount_total": None,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": None,
        "client_reference_id": None,
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": Given.NOW,
        "currency": None,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": None,
        "customer_account": None,
        "customer_creation": None,
        "customer_details": None,
        "customer_email": None,
        "discounts": [],
        "expires_at": None,
        "invoice": None,
        "invoice_creation": None,
        "livemode": Given.LIVEMODE,
        "locale": None,
        "metadata": {},
        "mode": "payment",
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": None,
        "subscription": None,
        "success_url": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": None,
        "wallet_options": None,
    },
    filters={
        name: equals(name, text(unsettable=False))
        for name in ("customer", "payment_intent", "payment_link", "status", "subscription")
    },
    unsupported_filters=frozenset({"customer_account", "customer_details"}),
    create=_SESSION,
    update=modification(
        "checkout_session",
        {"metadata": metadata()},
        unsupported=("collected_information", "line_items", "shipping_options"),
    ),
    actions={"expire": Operation(run=_expire)},
    seed=seeding(
        _SESSION,
        lambda write, rng: {
            "client_reference_id": samples.last_digits(rng),
            "customer": samples.some_id(write, "customer", rng),
            "line_items": _sample_lines(write, rng),
            "metadata": samples.crm_metadata(rng),
            "mode": "payment",
            "success_url": "https://example.com/thanks",
        },
    ),
    evolve=_evolve_session,
    may_update=lambda _, session: session["status"] == "open",
)


def _seed_line_item(write: Write, rng: Random) -> Object:
    """A session's first line item: they are made with it."""
    seed = CHECKOUT_SESSION.seed
    assert seed is not None
    return write.below("checkout_session_line_item", seed(write, rng)["id"])[0]


CHECKOUT_SESSION_LINE_ITEM = Collection(
    name="checkout_session_line_item",
    object_type="item",
    path=None,
    parent=Parent(collection="checkout_session", segment="line_items", writes=False),
    id_prefix="li_1",
    id_length=23,
    event_prefix="checkout_session_line_item",
    events=(),
    fields={
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": 0,
        "amount_tax": 0,
        "amount_total": 0,
        "currency": "usd",
        "description": None,
        "metadata": {},
        "price": None,
        "quantity": 1,
    },
    created_field=None,
    created_filter=False,
    oldest_first=True,
    readable=False,
    seed=_seed_line_item,
)


def _complete_payment_link(write: Write, link: Object, params: Params) -> None:
    if "line_items" in params:
        link["currency"] = _prices(write, params["line_items"])[0][0]["currency"]
        link["url"] = f"https://buy.stripe.com/{'' if link['livemode'] else 'test_'}{write.new_id('', 20)}"


_PAYMENT_LINK_UPDATES = {
    "active": boolean(),
    "allow_promotion_codes": boolean(),
    "billing_address_collection": choice("auto", "required"),
    "inactive_message": text(),
    "metadata": metadata(),
    "payment_method_types": list_of(text(unsettable=False), unsettable=True),
    "submit_type": choice("auto", "book", "donate", "pay", "subscribe"),
}
_PAYMENT_LINK = creation(
    "payment_link",
    {
        **{name: parse for name, parse in _PAYMENT_LINK_UPDATES.items() if name != "active"},
        "currency": text(unsettable=False, max_length=3),
        "line_items": _PRICED,
    },
    needs=("line_items",),
    complete=_complete_payment_link,
    unsupported=("after_completion", "automatic_tax", "custom_fields", "custom_text", "subscription_data"),
)

PAYMENT_LINK = Collection(
    name="payment_link",
    path="payment_links",
    id_prefix="plink_1",
    id_length=23,
    event_prefix="payment_link",
    events=("created", "updated"),
    fields={
        "active": True,
        "after_completion": {"hosted_confirmation": {"custom_message": None}, "type": "hosted_confirmation"},
        "allow_promotion_codes": False,
        "application": None,
        "application_fee_amount": None,
        "application_fee_percent": None,
        "automatic_tax": {"enabled": False, "liability": None},
        "billing_address_collection": "auto",
        "consent_collection": None,
        "currency": "usd",
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer_creation": "if_required",
        "inactive_message": None,
        "invoice_creation": None,
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "on_behalf_of": None,
        "payment_intent_data": None,
        "payment_method_collection": "always",
        "payment_method_types": None,
        "phone_number_collection": {"enabled": False},
        "restrictions": None,
        "shipping_address_collection": None,
        "shipping_options": [],
        "submit_type": "auto",
        "subscription_data": None,
        "tax_id_collection": {"enabled": False, "required": "never"},
        "transfer_data": None,
        "url": "",
    },
    created_field=None,
    created_filter=False,
    filters={"active": equals("active", boolean())},
    create=_PAYMENT_LINK,
    update=modification("payment_link", _PAYMENT_LINK_UPDATES, unsupported=("after_completion", "line_items")),
    seed=seeding(
        _PAYMENT_LINK,
        lambda write, rng: {"line_items": _sample_lines(write, rng), "metadata": samples.crm_metadata(rng)},
    ),
    sample_update=lambda rng: {"active": rng.random() < 0.5, "metadata": samples.crm_metadata(rng)},
)
