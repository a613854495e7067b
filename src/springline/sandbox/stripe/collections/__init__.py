"""The collections that the sandbox has, each described once."""

from springline.sandbox.stripe.collection import Collection
from springline.sandbox.stripe.collections.coupons import COUPON
from springline.sandbox.stripe.collections.customers import CUSTOMER
from springline.sandbox.stripe.collections.invoices import INVOICE
from springline.sandbox.stripe.collections.plans import PLAN
from springline.sandbox.stripe.collections.prices import PRICE
from springline.sandbox.stripe.collections.products import PRODUCT
from springline.sandbox.stripe.collections.subscriptions import SUBSCRIPTION

COLLECTIONS: tuple[Collection, ...] = (CUSTOMER, PRODUCT, PLAN, PRICE, COUPON, SUBSCRIPTION, INVOICE)
