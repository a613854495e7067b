"""Stripe's limits of requests. docs.stripe.com/rate-limits, November 2026.

Its limits of concurrency have no published numbers.
"""

from collections.abc import Mapping
from typing import Any, Final

from springline.providers.access import LimitWindow

ACCOUNT: Final = "account"
ENDPOINT: Final = "endpoint"

#: Below these, the resource is the second part of the path.
_NAMESPACES: Final = (
    "apps|billing|billing_portal|checkout|climate|crypto|entitlements|financial_connections|forwarding|identity|issuing"
    "|radar|reporting|sigma|tax|terminal|test_helpers|treasury"
)
#: The groups tell the operation: /v1/customers, /v1/customers/ID, /v1/customers/ID/sources are three.
OPERATION: Final = rf"/v[12]/((?:(?:{_NAMESPACES})/)?\w+)(?:(/)[^/]+(?:/(\w+)(?:(/).*)?)?)?"


def limits(properties: Mapping[str, Any]) -> tuple[LimitWindow, ...]:
    """100 requests a second live, 25 in test mode, and 25 for each operation."""
    per_second = 100 if "_live_" in str(properties.get("secret", "")) else 25
    return (
        LimitWindow(name=ACCOUNT, allowed_requests=per_second, interval=1.0),
        LimitWindow(name=ENDPOINT, allowed_requests=25, interval=1.0, path=OPERATION),
    )
