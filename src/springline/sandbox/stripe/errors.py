"""Stripe's errors, with the wording and the codes of the real API."""

from typing import Any


class StripeError(Exception):
    """A request that Stripe refuses: HTTP status and the fields of the error body."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.kind = kind
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        error["message"] = self.message
        if self.param is not None:
            error["param"] = self.param
        error["type"] = self.kind
        return {"error": error}


def resource_missing(noun: str, wanted: str, *, param: str = "id", status: int = 404) -> StripeError:
    """A path id that names nothing is 404; a parameter that does (`param`) is 400."""
    return StripeError(f"No such {noun}: '{wanted}'", status=status, code="resource_missing", param=param)


def already_exists(noun: str) -> StripeError:
    return StripeError(f"{noun.capitalize()} already exists.", code="resource_already_exists", param="id")


def parameter_missing(param: str) -> StripeError:
    return StripeError(f"Missing required param: {param}.", code="parameter_missing", param=param)


def parameter_unknown(names: list[str]) -> StripeError:
    plural = "s" if len(names) > 1 else ""
    return StripeError(
        f"Received unknown parameter{plural}: {', '.join(names)}", code="parameter_unknown", param=names[0]
    )


def parameter_empty(param: str) -> StripeError:
    return StripeError(
        f"You passed an empty string for '{param}'. We assume empty values are an attempt to unset a "
        f"parameter; however '{param}' cannot be unset. You should remove '{param}' from your request or "
        "supply a non-empty value.",
        code="parameter_invalid_empty",
        param=param,
    )


def parameter_unsupported(param: str) -> StripeError:
    """Stripe knows this parameter and the sandbox does not act on it: better refused than ignored."""
    return StripeError(
        f"Springline's sandbox does not act on the parameter '{param}'.",
        code="sandbox_unsupported",
        param=param,
    )


def not_set_up(feature: str) -> StripeError:
    """What an account hears of objects whose product it does not use."""
    if feature == "issuing":
        return StripeError(
            "Your account is not set up to use Issuing. Please visit https://dashboard.stripe.com/issuing/overview "
            "to get started."
        )
    return StripeError(
        "Only Stripe Connect platforms can work with other accounts. If you specified a client_id parameter, make "
        "sure it's correct. If you need to setup a Stripe Connect platform, you can do so at "
        "https://dashboard.stripe.com/account/applications/settings.",
        status=403,
    )


def unknown_url(method: str, path: str) -> StripeError:
    return StripeError(
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/.",
        status=404,
    )
