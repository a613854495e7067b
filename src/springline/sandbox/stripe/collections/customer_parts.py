"""What belongs to one customer: tax ids and the history of the balance."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, Parent
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.operations import creation, modification, removal
from springline.sandbox.stripe.params import Params, integer, metadata, text
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write


def _complete_tax_id(_: Write, tax_id: Object, params: Params) -> None:
    tax_id["country"] = params["value"][:2].upper()
    tax_id["owner"] = {"customer": params["customer"], "type": "customer"}


def _evolve_tax_id(write: Write, tax_id: Object, rng: Random) -> Object:
    """The state says whether it knows the number."""
    name = samples.label(rng)
    tax_id["verification"] = {
        "status": rng.choice(("verified", "unverified")),
        "verified_address": None,
        "verified_name": name,
    }
    return write.replace("tax_id", tax_id)


_TAX_ID = creation(
    "tax_id",
    {"type": text(unsettable=False), "value": text(unsettable=False)},
    needs=("type", "value"),
    complete=_complete_tax_id,
)


def _seed_tax_id(write: Write, rng: Random) -> Object:
    customer = samples.some_id(write, "customer", rng)
    value = f"DE{rng.randrange(10**8, 10**9)}"
    return _TAX_ID.run(write, {}, {"customer": customer, "type": "eu_vat", "value": value})


TAX_ID = Collection(
    name="tax_id",
    path=None,
    parent=Parent(collection="customer", field="customer", segment="tax_ids"),
    id_prefix="txi_1",
    id_length=23,
    event_prefix="customer.tax_id",
    fields={
        "country": None,
        "created": Given.NOW,
        "customer": None,
        "customer_account": None,
        "livemode": Given.LIVEMODE,
        "owner": None,
        "type": "eu_vat",
        "value": "",
        "verification": {"status": "pending", "verified_address": None, "verified_name": None},
    },
    created_filter=False,
    create=_TAX_ID,
    delete=removal("tax_id"),
    seed=_seed_tax_id,
    evolve=_evolve_tax_id,
)


def note_balance(write: Write, customer: Object, *, amount: int, kind: str = "adjustment", **fields: object) -> Object:
    """Note that the customer's balance has moved by `amount`, to where it is now."""
    entry = write.blank("customer_balance_transaction") | {
        "amount": amount,
        "currency": customer["currency"] or "usd",
        "customer": customer["id"],
        "ending_balance": customer["balance"],
        "type": kind,
        **fields,
    }
    return write.insert("customer_balance_transaction", entry)


def _move_balance(write: Write, _: Object, params: Params) -> Object:
    customer = write.find("customer", params["customer"])
    customer["balance"] += params["amount"]
    customer["currency"] = customer["currency"] or params["currency"].lower()
    write.replace("customer", customer)
    given = {name: value for name, value in (params.get("metadata") or {}).items() if value}
    return note_balance(
        write,
        customer,
        amount=params["amount"],
        currency=params["currency"].lower(),
        description=params.get("description"),
        metadata=given,
    )


def _seed_move(write: Write, rng: Random) -> Object:
    return _move_balance(
        write,
        {},
        {
            "amount": rng.randrange(-9_000, 9_000),
            "currency": "usd",
            "customer": samples.some_id(write, "customer", rng),
            "description": samples.label(rng),
            "metadata": samples.crm_metadata(rng),
        },
    )


CUSTOMER_BALANCE_TRANSACTION = Collection(
    name="customer_balance_transaction",
    path=None,
    parent=Parent(collection="customer", field="customer", segment="balance_transactions"),
    id_prefix="cbtxn_1",
    id_length=23,
    event_prefix="customer_balance_transaction",
    events=(),
    fields={
        "amount": 0,
        "checkout_session": None,
        "created": Given.NOW,
        "credit_note": None,
        "currency": "usd",
        "customer": "",
        "customer_account": None,
        "description": None,
        "ending_balance": 0,
        "invoice": None,
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "type": "adjustment",
    },
    created_filter=False,
    create=Operation(
        run=_move_balance,
        takes={
            "amount": integer(),
            "currency": text(unsettable=False, max_length=3),
            "description": text(),
            "metadata": metadata(),
        },
        needs=("amount", "currency"),
    ),
    update=modification("customer_balance_transaction", {"description": text(), "metadata": metadata()}),
    seed=_seed_move,
    sample_update=samples.described,
)
