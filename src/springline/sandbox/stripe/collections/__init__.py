"""The collections that the sandbox has, each described once. Events are the one feed of them all."""

from springline.sandbox.stripe.collection import Collection
from springline.sandbox.stripe.collections.balance import BALANCE_TRANSACTION, PAYOUT, TOPUP
from springline.sandbox.stripe.collections.catalog import PROMOTION_CODE, SHIPPING_RATE, TAX_RATE
from springline.sandbox.stripe.collections.charges import CHARGE, REFUND
from springline.sandbox.stripe.collections.checkout import CHECKOUT_SESSION, CHECKOUT_SESSION_LINE_ITEM, PAYMENT_LINK
from springline.sandbox.stripe.collections.connect import ACCOUNT, APPLICATION_FEE, TRANSFER, TRANSFER_REVERSAL
from springline.sandbox.stripe.collections.coupons import COUPON
from springline.sandbox.stripe.collections.credit_notes import CREDIT_NOTE
from springline.sandbox.stripe.collections.customer_parts import CUSTOMER_BALANCE_TRANSACTION, TAX_ID
from springline.sandbox.stripe.collections.customers import CUSTOMER
from springline.sandbox.stripe.collections.disputes import DISPUTE, EARLY_FRAUD_WARNING, REVIEW
from springline.sandbox.stripe.collections.files import FILE, FILE_LINK, WEBHOOK_ENDPOINT
from springline.sandbox.stripe.collections.intents import PAYMENT_INTENT, SETUP_INTENT
from springline.sandbox.stripe.collections.invoices import INVOICE
from springline.sandbox.stripe.collections.invoicing import INVOICE_ITEM, INVOICE_LINE_ITEM
from springline.sandbox.stripe.collections.issuing import (
    ISSUING_AUTHORIZATION,
    ISSUING_CARD,
    ISSUING_CARDHOLDER,
    ISSUING_TRANSACTION,
)
from springline.sandbox.stripe.collections.issuing_disputes import ISSUING_DISPUTE
from springline.sandbox.stripe.collections.payment_methods import PAYMENT_METHOD
from springline.sandbox.stripe.collections.plans import PLAN
from springline.sandbox.stripe.collections.prices import PRICE
from springline.sandbox.stripe.collections.products import PRODUCT
from springline.sandbox.stripe.collections.quotes import QUOTE
from springline.sandbox.stripe.collections.schedules import SUBSCRIPTION_SCHEDULE
from springline.sandbox.stripe.collections.subscription_items import SUBSCRIPTION_ITEM
from springline.sandbox.stripe.collections.subscriptions import SUBSCRIPTION

COLLECTIONS: tuple[Collection, ...] = (
    CUSTOMER,
    CUSTOMER_BALANCE_TRANSACTION,
    TAX_ID,
    PAYMENT_METHOD,
    PRODUCT,
    PLAN,
    PRICE,
    COUPON,
    PROMOTION_CODE,
    TAX_RATE,
    SHIPPING_RATE,
    SUBSCRIPTION,
    SUBSCRIPTION_ITEM,
    SUBSCRIPTION_SCHEDULE,
    QUOTE,
    INVOICE,
    INVOICE_LINE_ITEM,
    INVOICE_ITEM,
    CREDIT_NOTE,
    PAYMENT_INTENT,
    SETUP_INTENT,
    CHARGE,
    REFUND,
    DISPUTE,
    EARLY_FRAUD_WARNING,
    REVIEW,
    BALANCE_TRANSACTION,
    PAYOUT,
    TOPUP,
    CHECKOUT_SESSION,
    CHECKOUT_SESSION_LINE_ITEM,
    PAYMENT_LINK,
    ACCOUNT,
    TRANSFER,
    TRANSFER_REVERSAL,
    APPLICATION_FEE,
    ISSUING_CARDHOLDER,
    ISSUING_CARD,
    ISSUING_AUTHORIZATION,
    ISSUING_TRANSACTION,
    ISSUING_DISPUTE,
    FILE,
    FILE_LINK,
    WEBHOOK_ENDPOINT,
)
