"""Connect: connected accounts, transfers to them and back, fees on their charges."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, Parent, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.balance import book
from springline.sandbox.stripe.collections.operations import creation, empty_list, modification, seeding
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.params import Params, choice, email, hash_of, integer, metadata, text
from springline.sandbox.stripe.records import Record
from springline.sandbox.stripe.texts import Object, pretty
from springline.sandbox.stripe.writes import Given, Write, deleted_stub

APPLICATION = "ca_SpringlineSandbox"
"""The platform's application, by which accounts are connected."""

_ACCOUNT_TAKES = {
    "business_profile": hash_of({"name": text(), "product_description": text(), "url": text()}),
    "business_type": choice("company", "government_entity", "individual", "non_profit"),
    "email": email(),
    "metadata": metadata(),
}
_ACCOUNT_UNSUPPORTED = (
    "account_token", "capabilities", "company", "documents", "external_account", "groups", "individual", "settings",
    "tos_acceptance",
)  # fmt: skip


def _complete_account(_: Write, account: Object, params: Params) -> None:
    account["external_accounts"] = empty_list(f"/v1/accounts/{account['id']}/external_accounts")
    account["type"] = params.get("type", "standard")


def _delete_account(write: Write, account: Object, _: Params) -> Object:
    """The account leaves the platform, which hears of it as its application being deauthorized."""
    removed = write.account.tables["account"].remove(account["id"])
    application = {"id": APPLICATION, "object": "application", "name": write.account.name}
    subject = Record(
        id=removed.id,
        created=removed.created,
        text=pretty(application),
        raw=False,
        fields={},
        appeared_at=removed.appeared_at,
        order=removed.order,
    )
    write.emit("account.application.deauthorized", "account", subject)
    return deleted_stub(write.collection("account"), account["id"])


def _evolve_account(write: Write, account: Object, rng: Random) -> Object:
    """Its owner hands in what Stripe wants to know."""
    account |= {"charges_enabled": True, "details_submitted": True, "payouts_enabled": True}
    account["capabilities"] = {"card_payments": "active", "transfers": "active"}
    account["metadata"]["seen"] = samples.last_digits(rng)
    return write.replace("account", account)


_ACCOUNT = creation(
    "account",
    {
        **_ACCOUNT_TAKES,
        "country": text(unsettable=False, max_length=2),
        "default_currency": text(unsettable=False, max_length=3),
        "type": choice("custom", "express", "standard"),
    },
    complete=_complete_account,
    unsupported=(*_ACCOUNT_UNSUPPORTED, "controller"),
)

ACCOUNT = Collection(
    name="account",
    path="accounts",
    feature="connect",
    id_prefix="acct_1",
    id_length=15,
    event_prefix="account",
    events=("updated",),
    fields={
        "business_profile": {
            "mcc": None,
            "name": None,
            "product_description": None,
            "support_email": None,
            "url": None,
        },
        "business_type": None,
        "capabilities": {},
        "charges_enabled": False,
        "controller": {"is_controller": True, "type": "application"},
        "country": "US",
        "created": Given.NOW,
        "default_currency": "usd",
        "details_submitted": False,
        "email": None,
        "external_accounts": {},
        "future_requirements": {"currently_due": [], "disabled_reason": None, "past_due": []},
        "metadata": {},
        "payouts_enabled": False,
        "requirements": {"currently_due": ["business_type", "tos_acceptance.date"], "disabled_reason": None},
        "settings": {"dashboard": {"display_name": None, "timezone": "Etc/UTC"}},
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": "standard",
    },
    create=_ACCOUNT,
    update=modification("account", _ACCOUNT_TAKES, unsupported=(*_ACCOUNT_UNSUPPORTED, "default_currency")),
    delete=Operation(run=_delete_account),
    seed=seeding(
        _ACCOUNT,
        lambda _, rng: {
            "business_profile": {"name": samples.label(rng), "url": "https://example.com"},
            "country": rng.choice(("US", "DE", "PT")),
            "email": f"owner.{rng.randrange(10**6)}@example.com",
            "metadata": samples.crm_metadata(rng),
            "type": rng.choice(("express", "standard")),
        },
    ),
    sample_update=lambda rng: {
        "business_profile": {"name": samples.label(rng)},
        "metadata": samples.crm_metadata(rng),
    },
    evolve=_evolve_account,
)


def _complete_transfer(write: Write, transfer: Object, params: Params) -> None:
    if write.account.tables["account"].get(params["destination"]) is None:
        raise StripeError(
            f"No such destination: '{params['destination']}'", code="resource_missing", param="destination"
        )
    transfer["currency"] = transfer["currency"].lower()
    transfer["balance_transaction"] = book(
        write, "transfer", amount=-transfer["amount"], source=transfer["id"], currency=transfer["currency"]
    )
    transfer["destination_payment"] = write.new_id("py_1", 23)
    transfer["reversals"] = empty_list(f"/v1/transfers/{transfer['id']}/reversals")
    transfer["transfer_group"] = params.get("transfer_group", f"group_{transfer['destination_payment']}")


_TRANSFER = creation(
    "transfer",
    {
        "amount": integer(least=1),
        "currency": text(unsettable=False, max_length=3),
        "description": text(),
        "destination": text(unsettable=False),
        "metadata": metadata(),
        "source_transaction": text(unsettable=False),
        "source_type": choice("bank_account", "card", "fpx"),
        "transfer_group": text(),
    },
    needs=("amount", "currency", "destination"),
    complete=_complete_transfer,
)


def _reverse(write: Write, _: Object, params: Params) -> Object:
    """Take back a part of a transfer, or the rest of it."""
    transfer = write.find("transfer", params["transfer"])
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = params.get("amount", left)
    if not 0 < amount <= left:
        raise StripeError(
            f"Reversal amount ({amount}) is greater than unreversed amount on transfer ({left})", param="amount"
        )
    back = write.blank("transfer_reversal") | {
        "amount": amount,
        "currency": transfer["currency"],
        "metadata": {name: value for name, value in (params.get("metadata") or {}).items() if value},
        "transfer": transfer["id"],
    }
    back["balance_transaction"] = book(
        write, "transfer_refund", amount=amount, source=back["id"], currency=transfer["currency"]
    )
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    transfer["reversals"]["data"].insert(0, back)
    write.replace("transfer", transfer, "reversed")
    return back


def _seed_reversal(write: Write, rng: Random) -> Object:
    transfer = samples.some_value(write, "transfer", rng)
    if transfer["amount"] - transfer["amount_reversed"] < 100:
        transfer = _seed_transfer(write, rng)
    return _reverse(
        write,
        {},
        {"amount": rng.randrange(1, 100), "metadata": samples.crm_metadata(rng), "transfer": transfer["id"]},
    )


_seed_transfer = seeding(
    _TRANSFER,
    lambda write, rng: {
        "amount": rng.randrange(1_000, 200_000),
        "currency": "usd",
        "description": samples.label(rng),
        "destination": samples.some_id(write, "account", rng),
        "metadata": samples.crm_metadata(rng),
    },
)

TRANSFER = Collection(
    name="transfer",
    path="transfers",
    id_prefix="tr_1",
    id_length=23,
    event_prefix="transfer",
    events=("created", "reversed", "updated"),
    fields={
        "amount": 0,
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": Given.NOW,
        "currency": "usd",
        "description": None,
        "destination": None,
        "destination_payment": None,
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "reversals": {},
        "reversed": False,
        "source_transaction": None,
        "source_type": "card",
        "transfer_group": None,
    },
    filters={
        "destination": equals("destination", text(unsettable=False)),
        "transfer_group": equals("transfer_group", text(unsettable=False)),
    },
    create=_TRANSFER,
    update=modification("transfer", {"description": text(), "metadata": metadata()}),
    seed=_seed_transfer,
    sample_update=samples.described,
)

TRANSFER_REVERSAL = Collection(
    name="transfer_reversal",
    path=None,
    parent=Parent(collection="transfer", field="transfer", segment="reversals", embedded_as="reversals"),
    id_prefix="trr_1",
    id_length=23,
    event_prefix="transfer_reversal",
    events=(),
    fields={
        "amount": 0,
        "balance_transaction": None,
        "created": Given.NOW,
        "currency": "usd",
        "destination_payment_refund": None,
        "metadata": {},
        "source_refund": None,
        "transfer": "",
    },
    created_filter=False,
    create=Operation(
        run=_reverse,
        takes={"amount": integer(least=1), "metadata": metadata()},
        unsupported=frozenset({"description", "refund_application_fee"}),
    ),
    update=modification("transfer_reversal", {"metadata": metadata()}),
    seed=_seed_reversal,
    sample_update=samples.labelled,
)


def _seed_fee(write: Write, rng: Random) -> Object:
    """A connected account's charge pays its platform."""
    fee = write.blank("application_fee")
    fee |= {
        "account": samples.some_id(write, "account", rng),
        "amount": rng.randrange(100, 5_000),
        "charge": samples.some_id(write, "charge", rng),
    }
    fee["fee_source"] = {"charge": fee["charge"], "type": "charge"}
    fee["balance_transaction"] = book(write, "application_fee", amount=fee["amount"], source=fee["id"])
    fee["refunds"] = empty_list(f"/v1/application_fees/{fee['id']}/refunds")
    return write.insert("application_fee", fee)


def _refund_fee(write: Write, fee: Object, rng: Random) -> Object:
    back = {
        "id": write.new_id("fr_1", 23),
        "object": "fee_refund",
        "amount": rng.randrange(1, fee["amount"] - fee["amount_refunded"] + 1),
        "balance_transaction": None,
        "created": write.now,
        "currency": fee["currency"],
        "fee": fee["id"],
        "metadata": {},
    }
    fee["amount_refunded"] += back["amount"]
    fee["refunded"] = fee["amount_refunded"] == fee["amount"]
    fee["refunds"]["data"] = [back, *fee["refunds"]["data"]][:10]
    fee["refunds"]["total_count"] += 1
    fee["refunds"]["has_more"] = fee["refunds"]["total_count"] > len(fee["refunds"]["data"])
    return write.replace("application_fee", fee, "refunded")


APPLICATION_FEE = Collection(
    name="application_fee",
    path="application_fees",
    feature="connect",
    id_prefix="fee_1",
    id_length=23,
    event_prefix="application_fee",
    events=("created", "refunded"),
    fields={
        "account": "",
        "amount": 0,
        "amount_refunded": 0,
        "application": APPLICATION,
        "balance_transaction": None,
        "charge": "",
        "created": Given.NOW,
        "currency": "usd",
        "fee_source": None,
        "livemode": Given.LIVEMODE,
        "originating_transaction": None,
        "refunded": False,
        "refunds": {},
    },
    filters={"charge": equals("charge", text(unsettable=False))},
    seed=_seed_fee,
    evolve=_refund_fee,
    may_update=lambda _, fee: not fee["refunded"],
)
