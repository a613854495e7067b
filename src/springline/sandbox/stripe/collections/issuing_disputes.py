"""Issuing's disputes: what a cardholder says was not right with a payment."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.balance import book
from springline.sandbox.stripe.collections.issuing import seed_transaction
from springline.sandbox.stripe.collections.operations import creation, modification, require_status
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.params import Params, choice, hash_of, integer, metadata, text
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write


def _complete_dispute(write: Write, dispute: Object, params: Params) -> None:
    paid = write.named("issuing_transaction", params["transaction"], param="transaction")
    if paid["dispute"] is not None:
        raise StripeError(f"The transaction {paid['id']} has already been disputed.", param="transaction")
    dispute |= {"amount": params.get("amount", -paid["amount"]), "currency": paid["currency"]}
    write.replace("issuing_transaction", paid | {"dispute": dispute["id"]})


def _submit(write: Write, dispute: Object, _: Params) -> Object:
    require_status(dispute, "unsubmitted", action="submit")
    return write.replace("issuing_dispute", dispute | {"status": "submitted"}, "submitted", "updated")


def _evolve_dispute(write: Write, dispute: Object, rng: Random) -> Object:
    if dispute["status"] == "unsubmitted":
        return _submit(write, dispute, {})
    if rng.random() < 0.5:
        dispute |= {"loss_reason": "cardholder_authentication_issuer_liability", "status": "lost"}
        return write.replace("issuing_dispute", dispute, "closed")
    back = book(write, "issuing_dispute", amount=dispute["amount"], source=dispute["id"], currency=dispute["currency"])
    dispute |= {"balance_transactions": [write.find("balance_transaction", back)], "status": "won"}
    return write.replace("issuing_dispute", dispute, "funds_reinstated", "closed")


_EVIDENCE = hash_of(
    {
        "fraudulent": hash_of({"explanation": text()}),
        "other": hash_of({"explanation": text(), "product_description": text()}),
        "reason": choice("fraudulent", "other"),
    }
)
_DISPUTE = creation(
    "issuing_dispute",
    {
        "amount": integer(least=1),
        "evidence": _EVIDENCE,
        "metadata": metadata(),
        "transaction": text(unsettable=False),
    },
    needs=("transaction",),
    complete=_complete_dispute,
    unsupported=("treasury",),
)


def _seed_dispute(write: Write, rng: Random) -> Object:
    """A dispute of a payment that nobody disputes yet."""
    for _ in range(5):
        paid = samples.some_value(write, "issuing_transaction", rng)
        if paid["dispute"] is None:
            break
    else:
        paid = seed_transaction(write, rng)
    evidence = {"reason": "other", "other": {"explanation": samples.label(rng)}}
    params = {"evidence": evidence, "metadata": samples.crm_metadata(rng), "transaction": paid["id"]}
    return _DISPUTE.run(write, {}, params)


ISSUING_DISPUTE = Collection(
    name="issuing_dispute",
    object_type="issuing.dispute",
    path="issuing/disputes",
    feature="issuing",
    id_prefix="idp_1",
    id_length=23,
    event_prefix="issuing_dispute",
    events=("closed", "created", "funds_reinstated", "funds_rescinded", "submitted", "updated"),
    fields={
        "amount": 0,
        "balance_transactions": [],
        "created": Given.NOW,
        "currency": "usd",
        "evidence": {"reason": "other"},
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "status": "unsubmitted",
        "transaction": "",
    },
    filters={
        "status": equals("status", text(unsettable=False)),
        "transaction": equals("transaction", text(unsettable=False)),
    },
    create=_DISPUTE,
    update=modification("issuing_dispute", {"evidence": _EVIDENCE, "metadata": metadata()}, unsupported=("amount",)),
    actions={"submit": Operation(run=_submit, takes={"metadata": metadata()})},
    seed=_seed_dispute,
    sample_update=samples.labelled,
    evolve=_evolve_dispute,
    may_update=lambda _, dispute: dispute["status"] in {"submitted", "unsubmitted"},
)
