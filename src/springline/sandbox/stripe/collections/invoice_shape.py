"""An invoice's fields and lines, in the shape of version 2026-09-30.endive."""

from collections.abc import Iterable
from dataclasses import dataclass

from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Write


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of an invoice; the last fields are set where it bills a subscription's item."""

    amount: int
    """In the currency's smallest unit, for the whole quantity."""
    description: str
    quantity: int | None
    period: tuple[int, int] | None = None
    unit_amount: str | None = None
    price: str | None = None
    product: str | None = None
    subscription: str | None = None
    subscription_item: str | None = None
    invoice_item: str | None = None


def new_invoice(
    write: Write, customer: Object, *, currency: str, reason: str, subscription: Object | None = None
) -> Object:
    """A draft that is not stored yet, without lines."""
    livemode = write.account.livemode
    parent = subscription and {
        "quote_details": None,
        "subscription_details": {"metadata": subscription["metadata"], "subscription": subscription["id"]},
        "type": "subscription_details",
    }
    method = subscription["collection_method"] if subscription else "charge_automatically"
    due: int | None = subscription["days_until_due"] if subscription else None
    return {
        "id": write.new_id("in_1", 23),
        "object": "invoice",
        "account_country": "US",
        "account_name": write.account.name,
        "account_tax_ids": None,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": subscription is not None,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "automatically_finalizes_at": None,
        "billing_reason": reason,
        "collection_method": method,
        "created": write.now,
        "currency": currency,
        "custom_fields": None,
        "customer": customer["id"],
        "customer_account": None,
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": write.now + due * 86_400 if due is not None else None,
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": {},
        "livemode": livemode,
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": parent,
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": write.now,
        "period_start": write.now,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "test_clock": None,
        "total": 0,
        "total_discount_amounts": [],
        "total_excluding_tax": 0,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": write.now,
    }


def with_lines(write: Write, invoice: Object, lines: Iterable[Line]) -> Object:
    """The invoice with these lines and the totals that follow."""
    entries = [line_of(write, invoice, line) for line in lines]
    invoice["lines"] = {
        "object": "list",
        "data": entries,
        "has_more": False,
        "total_count": len(entries),
        "url": f"/v1/invoices/{invoice['id']}/lines",
    }
    return totalled(invoice)


def totalled(invoice: Object) -> Object:
    """The invoice with the totals that follow from its lines."""
    total = sum(entry["amount"] for entry in invoice["lines"]["data"])
    for name in ("amount_due", "amount_remaining", "subtotal", "subtotal_excluding_tax", "total"):
        invoice[name] = total
    invoice["total_excluding_tax"] = total
    return invoice


def line_of(write: Write, invoice: Object, line: Line) -> Object:
    """One of the invoice's lines, not yet among them."""
    start, end = line.period or (write.now, write.now)
    parent = line.subscription and {
        "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": None,
            "proration": False,
            "proration_details": {"credited_items": None},
            "subscription": line.subscription,
            "subscription_item": line.subscription_item,
        },
        "type": "subscription_item_details",
    }
    if line.invoice_item is not None:
        parent = {
            "invoice_item_details": {
                "invoice_item": line.invoice_item,
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": None,
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        }
    pricing = line.price and {
        "price_details": {"price": line.price, "product": line.product},
        "type": "price_details",
        "unit_amount_decimal": line.unit_amount,
    }
    return {
        "id": write.new_id("il_1", 23),
        "object": "line_item",
        "amount": line.amount,
        "currency": invoice["currency"],
        "description": line.description,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice["id"],
        "livemode": invoice["livemode"],
        "metadata": {},
        "parent": parent,
        "period": {"end": end, "start": start},
        "pretax_credit_amounts": [],
        "pricing": pricing,
        "quantity": line.quantity,
        "subtotal": line.amount,
        "taxes": [],
    }
