"""GitHub's errors, with the wording and the fields of the real API."""

from typing import Any

DOCS = "https://docs.github.com/rest"


class GithubError(Exception):
    """A request that GitHub refuses: HTTP status and the fields of the error body."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 422,
        errors: list[dict[str, Any]] | None = None,
        docs: str = "",
        headers: dict[str, str] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.errors = errors
        self.docs = docs
        self.headers = headers or {}
        self.more = more or {}

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"message": self.message, **self.more}
        if self.errors is not None:
            error["errors"] = self.errors
        error["documentation_url"] = f"{DOCS}/{self.docs}" if self.docs else DOCS
        error["status"] = str(self.status)
        return error


def not_found(docs: str = "") -> GithubError:
    """No such thing, or nothing that this token may know of: GitHub does not tell which."""
    return GithubError("Not Found", status=404, docs=docs)


def invalid(resource: str, field: str, *, code: str = "invalid", **more: Any) -> GithubError:
    return GithubError("Validation Failed", errors=[{"resource": resource, "field": field, "code": code, **more}])


def already_exists(resource: str, field: str) -> GithubError:
    return invalid(resource, field, code="already_exists")
