"""Every setting of an installation: environment variables that start with `SPRINGLINE_`, and nothing else.

`VARIABLES` is the one table: it is what `Settings.from_environment` knows, and what docs/reference/settings.md shows.
"""

import base64
import binascii
import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeVar, cast
from urllib.parse import SplitResult, urlsplit

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
Parsed = TypeVar("Parsed")

#: The APIs that have (or will have) a description; each has a variable for its base URL.
PROVIDERS: Final = (
    "airtable", "auth0", "github", "hubspot", "linear", "marketo", "netsuite",
    "quickbooks", "salesforce", "sendgrid", "servicenow", "shopify", "stripe", "workday",
)  # fmt: skip

PREFIX: Final = "SPRINGLINE_"
DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 7376
SECRET_KEY_BYTES: Final = 32
API_TOKEN_CHARACTERS: Final = 16
_NEW_KEY: Final = "openssl rand -base64 32 | tr +/ -_"
_NEW_TOKEN: Final = "openssl rand -base64 24 | tr +/ -_"  # noqa: S105 - the command that makes one


class SettingsError(Exception):
    """A setting that cannot be used. The message is one line: the variable, its value unless secret, the way out."""


class Variable(NamedTuple):
    """One row of the reference. `default` and `meaning` are Markdown; a secret one's value is never shown."""

    name: str
    default: str
    meaning: str
    secret: bool = False


VARIABLES: Final = (
    Variable(
        "SPRINGLINE_DATA_DIR",
        "the platform's user data directory; for root `/var/lib/springline`",
        "Where the embedded PostgreSQL, the API token and the encryption key lie. Made if it is missing.",
    ),
    Variable("SPRINGLINE_HOST", f"`{DEFAULT_HOST}`", "The address to listen on; `0.0.0.0` is all of them."),
    Variable("SPRINGLINE_PORT", f"`{DEFAULT_PORT}`", "The port to listen on, 0–65535; `0` takes a free one."),
    Variable(
        "SPRINGLINE_DATABASE_URL",
        "none: the embedded PostgreSQL",
        "A PostgreSQL of your own, 15 or newer, as `postgresql://user:password@host:5432/database`.",
        secret=True,
    ),
    Variable(
        "SPRINGLINE_SECRET_KEY",
        "a file in the data directory",
        "Encrypts credentials at rest: 32 bytes in base64url, or several keys joined by commas. "
        "The first encrypts, all decrypt.",
        secret=True,
    ),
    Variable(
        "SPRINGLINE_API_TOKEN",
        "`<data directory>/token`, made by the first start",
        f"The default organisation's API token, at least {API_TOKEN_CHARACTERS} printable ASCII characters without "
        "spaces. The client commands send it.",
        secret=True,
    ),
    Variable(
        "SPRINGLINE_URL",
        "the host and port above",
        "Where the client commands find the API, as `https://springline.example.com`.",
    ),
    Variable("SPRINGLINE_LOG_FORMAT", "`text` on a terminal, else `json`", "`text` for people, `json` for programs."),
    Variable("SPRINGLINE_LOG_LEVEL", "`info`", "`debug`, `info`, `warning` or `error`. Only `debug` shows tracebacks."),
    Variable(
        "SPRINGLINE_LEASE_SECONDS",
        "`30`",
        "How long a worker that has died keeps its syncs from the others: 1–3600 seconds.",
    ),
    Variable(
        "SPRINGLINE_METRICS_PORT",
        "none",
        "The port where `springline worker` answers `/metrics`, `/healthz` and `/readyz`; `0` takes a free one. "
        "`springline serve` answers them where it answers everything.",
    ),
    Variable(
        "SPRINGLINE_PROVIDER_LIMITS",
        "`on`",
        "`off`: only each sync's `rate_limit` counts, not what the provider publishes; for a fake without limits.",
    ),
    *(
        Variable(
            f"SPRINGLINE_{provider.upper()}_BASE_URL",
            "the provider's own",
            f"Sends the requests for {provider} to a sandbox or proxy instead.",
        )
        for provider in PROVIDERS
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one process; all of them valid. Secret ones are left out of the representation.

    `log_format` None: text on a terminal, else JSON. `url` has no slash at its end. `base_urls` maps a provider to the
    URL that an operator gave it. `warnings` are lines about variables that nothing reads.
    """

    data_dir: Path
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    database_url: str | None = field(default=None, repr=False)
    secret_keys: tuple[bytes, ...] = field(default=(), repr=False)
    api_token: str | None = field(default=None, repr=False)
    url: str = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
    log_format: LogFormat | None = None
    log_level: LogLevel = "info"
    lease_seconds: float = 30.0
    metrics_port: int | None = None
    provider_limits: bool = True
    base_urls: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings that these variables make; one that is empty counts as not set. Raises SettingsError."""
        host = _read(environ, "SPRINGLINE_HOST", _host, DEFAULT_HOST)
        port = _read(environ, "SPRINGLINE_PORT", _port, DEFAULT_PORT)
        base_urls = {
            provider: _read(environ, f"SPRINGLINE_{provider.upper()}_BASE_URL", _origin, "") for provider in PROVIDERS
        }
        return cls(
            data_dir=_read(environ, "SPRINGLINE_DATA_DIR", _directory, None) or default_data_dir(),
            host=host,
            port=port,
            database_url=_read(environ, "SPRINGLINE_DATABASE_URL", _database_url, None),
            secret_keys=_read(environ, "SPRINGLINE_SECRET_KEY", _secret_keys, ()),
            api_token=_read(environ, "SPRINGLINE_API_TOKEN", _api_token, None),
            url=_read(environ, "SPRINGLINE_URL", _origin, address(host, port)),
            log_format=_read(environ, "SPRINGLINE_LOG_FORMAT", _log_format, None),
            log_level=_read(environ, "SPRINGLINE_LOG_LEVEL", _log_level, "info"),
            lease_seconds=_read(environ, "SPRINGLINE_LEASE_SECONDS", _lease_seconds, 30.0),
            metrics_port=_read(environ, "SPRINGLINE_METRICS_PORT", _metrics_port, None),
            provider_limits=_read(environ, "SPRINGLINE_PROVIDER_LIMITS", _on_or_off, True),
            base_urls={provider: url for provider, url in base_urls.items() if url},
            warnings=tuple(_unknown(environ)),
        )

    def secrets(self) -> tuple[str, ...]:
        """The secrets that do not look like one, for a log to mask wherever they stand."""
        keys = [base64.urlsafe_b64encode(key).decode().rstrip("=") for key in self.secret_keys]
        return (*keys, *([self.api_token] if self.api_token else []))

    @property
    def token_file(self) -> Path:
        """Where the first start writes the API token, if no variable holds one."""
        return self.data_dir / "token"


def default_data_dir() -> Path:
    """The platform's user data directory. For root a place that the unprivileged user, as whom PostgreSQL then runs,
    can reach: root's own home is closed to it."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/springline")
    import platformdirs

    return Path(platformdirs.user_data_dir("springline", appauthor=False))


def address(host: str, port: int) -> str:
    """The URL at which a server that listens on this host and port is reached from the same machine."""
    loopback = {"0.0.0.0": DEFAULT_HOST, "::": "[::1]"}  # noqa: S104 - asked about, not bound
    return f"http://{loopback.get(host, f'[{host}]' if ':' in host else host)}:{port}"


def _read(environ: Mapping[str, str], name: str, parse: Callable[[str], Parsed], default: Parsed) -> Parsed:
    text = environ.get(name, "").strip()
    if not text:
        return default
    try:
        return parse(text)
    except ValueError as error:
        secret = next(variable.secret for variable in VARIABLES if variable.name == name)
        shown = name if secret else f"{name}={_printable(text)}"
        raise SettingsError(f"{shown} {error}") from None  # a parser's message continues the sentence


def _printable(text: str) -> str:
    """A value as it may be shown: one short line, without what a URL may hide."""
    text = re.sub(r"//[^/\s]*@", "//***@", text)
    text = re.sub(r"\?.*", "?***", text, flags=re.DOTALL)
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = [variable.name.removeprefix(PREFIX) for variable in VARIABLES]
    warnings = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in known:
            nearest = difflib.get_close_matches(name.removeprefix(PREFIX), known, n=1, cutoff=0.6)
            hint = f"did you mean {PREFIX}{nearest[0]}?" if nearest else "it has no effect"
            warnings.append(f"{_printable(name)} is not a setting of Springline: {hint}")
    return warnings


def _directory(text: str) -> Path:
    if "\0" in text:
        raise ValueError("holds a NUL character: name a directory")
    try:
        path = Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError("names a user that does not exist: give the directory's full path") from None
    if path.exists() and not path.is_dir():
        raise ValueError("is not a directory: name one, or a path where one can be made")
    return path


def _host(text: str) -> str:
    try:
        return str(ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", text) and not re.fullmatch(r"[\d.]+", text):
            return text
    raise ValueError("is no address to listen on: use an IP address such as 127.0.0.1, or a host name, without a port")


def _port(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text) and int(text) <= 65535:
        return int(text)
    raise ValueError("must be a whole number from 0 to 65535; leave it out for 7376")


def _metrics_port(text: str) -> int | None:
    if re.fullmatch(r"[0-9]{1,5}", text) and int(text) <= 65535:
        return int(text)
    raise ValueError("must be a whole number from 0 to 65535; leave it out where nobody reads a worker's metrics")


def _database_url(text: str) -> str:
    if not re.match(r"postgres(ql)?://", text) or not text.isprintable():
        raise ValueError(
            "must look like postgresql://user:password@host:5432/database, with special characters of the password "
            "percent-encoded; leave it out for the embedded PostgreSQL"
        )
    return text


def _secret_keys(text: str) -> tuple[bytes, ...]:
    return tuple(_secret_key(number, part.strip()) for number, part in enumerate(text.split(","), start=1))


def _secret_key(number: int, text: str) -> bytes:
    digits = text.rstrip("=")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", digits):
        raise ValueError(f"key {number} is not base64url (A–Z, a–z, 0–9, - and _); make one with: {_NEW_KEY}")
    try:
        key = base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    except binascii.Error:
        raise ValueError(f"key {number} is cut off; make a new one with: {_NEW_KEY}") from None
    if len(key) != SECRET_KEY_BYTES:
        raise ValueError(f"key {number} has {len(key)} bytes instead of {SECRET_KEY_BYTES}; make one with: {_NEW_KEY}")
    return key


def _api_token(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError(f"must be printable ASCII without spaces; make one with: {_NEW_TOKEN}")
    if len(text) < API_TOKEN_CHARACTERS:
        raise ValueError(
            f"has {len(text)} characters, and at least {API_TOKEN_CHARACTERS} are needed; make one with: {_NEW_TOKEN}"
        )
    return text


def _split(text: str) -> SplitResult | None:
    """The parts of a URL with a usable port; None if it has none of that."""
    try:
        parts = urlsplit(text)
        usable = parts.port is None or parts.port > 0
    except ValueError:
        return None
    return parts if usable and re.fullmatch(r"[!-~]+", text) else None


def _origin(text: str) -> str:
    parts = _split(text)
    example = "such as https://api.example.com:8443"
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"must be an http or https URL, {example}")
    if "@" in parts.netloc:
        raise ValueError(f"must not hold a user or password: give the URL alone, {example}")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError(f"must end after the host and port, without a path or query, {example}")
    return f"{parts.scheme}://{parts.netloc}"


def _log_format(text: str) -> LogFormat:
    if text.lower() not in {"text", "json"}:
        raise ValueError("must be text (for people) or json (for programs)")
    return cast("LogFormat", text.lower())


def _log_level(text: str) -> LogLevel:
    if text.lower() not in {"debug", "info", "warning", "error"}:
        raise ValueError("must be debug, info, warning or error")
    return cast("LogLevel", text.lower())


def _on_or_off(text: str) -> bool:
    if text.lower() not in {"on", "off"}:
        raise ValueError("must be on or off")
    return text.lower() == "on"


def _lease_seconds(text: str) -> float:
    if re.fullmatch(r"[0-9]{1,4}(\.[0-9]+)?", text) and 1 <= float(text) <= 3600:
        return float(text)
    raise ValueError("must be a number of seconds from 1 to 3600, such as 30")
