"""Settings: what each variable accepts, what a wrong one says, and that the reference page is the same table."""

import base64
import os
from pathlib import Path

import pytest

from springline.settings import PROVIDERS, VARIABLES, Settings, SettingsError, address, default_data_dir

KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")


def refusal(name: str, value: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({name: value})
    message = str(caught.value)
    assert name in message
    assert "\n" not in message
    return message


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = Settings.from_environment({})
    assert settings.data_dir == default_data_dir()
    assert (settings.host, settings.port, settings.url) == ("127.0.0.1", 7376, "http://127.0.0.1:7376")
    assert (settings.database_url, settings.secret_keys, settings.api_token) == (None, (), None)
    assert (settings.log_format, settings.log_level, settings.lease_seconds) == (None, "info", 30.0)
    assert settings.base_urls == {}
    assert settings.warnings == ()
    assert settings.token_file == settings.data_dir / "token"


def test_every_variable_is_read(tmp_path: Path) -> None:
    settings = Settings.from_environment(
        {
            "SPRINGLINE_DATA_DIR": str(tmp_path / "a b"),
            "SPRINGLINE_HOST": "::",
            "SPRINGLINE_PORT": "0",
            "SPRINGLINE_DATABASE_URL": "postgresql://u:p@h:5432/d",
            "SPRINGLINE_SECRET_KEY": f"{KEY}, {OTHER_KEY}",
            "SPRINGLINE_API_TOKEN": "0123456789abcdef",
            "SPRINGLINE_URL": "https://springline.example.com/",
            "SPRINGLINE_LOG_FORMAT": "JSON",
            "SPRINGLINE_LOG_LEVEL": "Debug",
            "SPRINGLINE_LEASE_SECONDS": "2.5",
            "SPRINGLINE_METRICS_PORT": "0",
            "SPRINGLINE_PROVIDER_LIMITS": "Off",
            "SPRINGLINE_STRIPE_BASE_URL": "http://127.0.0.1:12111",
        }
    )
    assert settings.data_dir == tmp_path / "a b"
    assert (settings.host, settings.port, settings.url) == ("::", 0, "https://springline.example.com")
    assert settings.database_url == "postgresql://u:p@h:5432/d"
    assert settings.secret_keys == (bytes(range(32)), bytes(32))
    assert settings.api_token == "0123456789abcdef"
    assert (settings.log_format, settings.log_level, settings.lease_seconds) == ("json", "debug", 2.5)
    assert settings.metrics_port == 0
    assert settings.base_urls == {"stripe": "http://127.0.0.1:12111"}
    assert settings.provider_limits is False


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings.from_environment({variable.name: "" for variable in VARIABLES}) == Settings.from_environment({})


def test_the_clients_url_follows_host_and_port() -> None:
    assert (
        Settings.from_environment({"SPRINGLINE_HOST": "0.0.0.0", "SPRINGLINE_PORT": "80"}).url == "http://127.0.0.1:80"
    )
    assert address("::1", 7376) == "http://[::1]:7376"
    assert address("springline.internal", 7376) == "http://springline.internal:7376"


def test_a_relative_data_directory_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment({"SPRINGLINE_DATA_DIR": "data"}).data_dir == tmp_path / "data"


def test_root_keeps_its_data_where_postgresql_can_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/springline")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_data_dir().name == "springline"
    assert default_data_dir() != Path("/var/lib/springline")


@pytest.mark.parametrize(
    ("name", "value", "way_out"),
    [
        ("SPRINGLINE_DATA_DIR", __file__, "is not a directory"),
        ("SPRINGLINE_HOST", "127.0.0.1:80", "without a port"),
        ("SPRINGLINE_HOST", "999.1.1.1", "such as 127.0.0.1"),
        ("SPRINGLINE_HOST", "two hosts", "such as 127.0.0.1"),
        ("SPRINGLINE_PORT", "http", "from 0 to 65535"),
        ("SPRINGLINE_PORT", "65536", "from 0 to 65535"),
        ("SPRINGLINE_PORT", "-1", "from 0 to 65535"),
        ("SPRINGLINE_URL", "springline.example.com", "must be an http or https URL"),
        ("SPRINGLINE_URL", "http://", "must be an http or https URL"),
        ("SPRINGLINE_URL", "http://h:99999", "must be an http or https URL"),
        ("SPRINGLINE_URL", "https://h/v1", "without a path or query"),
        ("SPRINGLINE_URL", "https://h/?x=1", "without a path or query"),
        ("SPRINGLINE_LOG_FORMAT", "xml", "text (for people) or json"),
        ("SPRINGLINE_LOG_LEVEL", "verbose", "debug, info, warning or error"),
        ("SPRINGLINE_LEASE_SECONDS", "0.5", "from 1 to 3600"),
        ("SPRINGLINE_METRICS_PORT", "70000", "from 0 to 65535"),
        ("SPRINGLINE_METRICS_PORT", "on", "leave it out where nobody reads"),
        ("SPRINGLINE_LEASE_SECONDS", "nan", "from 1 to 3600"),
        ("SPRINGLINE_LEASE_SECONDS", "30s", "from 1 to 3600"),
        ("SPRINGLINE_PROVIDER_LIMITS", "none", "must be on or off"),
        ("SPRINGLINE_STRIPE_BASE_URL", "ftp://h", "must be an http or https URL"),
        ("SPRINGLINE_GITHUB_BASE_URL", "https://h/api/v3", "without a path or query"),
    ],
)
def test_a_wrong_value_is_named_with_the_way_out(name: str, value: str, way_out: str) -> None:
    message = refusal(name, value)
    assert way_out in message
    assert value.split("?", maxsplit=1)[0] in message


@pytest.mark.parametrize(
    ("name", "value", "way_out"),
    [
        ("SPRINGLINE_DATABASE_URL", "mysql://u:hunter22@h/d", "must look like postgresql://"),
        ("SPRINGLINE_DATABASE_URL", "hunter22", "must look like postgresql://"),
        ("SPRINGLINE_SECRET_KEY", "hunter22", "key 1 has 6 bytes instead of 32"),
        ("SPRINGLINE_SECRET_KEY", f"{KEY},hunter22!", "key 2 is not base64url"),
        ("SPRINGLINE_SECRET_KEY", f"{KEY},", "key 2 has 0 bytes instead of 32"),
        ("SPRINGLINE_SECRET_KEY", f"{KEY[:-4]}hunter22x", "key 1 "),
        ("SPRINGLINE_API_TOKEN", "hunter22", "at least 16"),
        ("SPRINGLINE_API_TOKEN", "hunter22 with spaces", "without spaces"),
        ("SPRINGLINE_API_TOKEN", "hunter22hunter22é", "printable ASCII"),
    ],
)
def test_a_wrong_secret_is_refused_without_being_shown(name: str, value: str, way_out: str) -> None:
    message = refusal(name, value)
    assert way_out in message
    assert "hunter22" not in message


def test_a_url_is_shown_without_its_secrets() -> None:
    assert "hunter22" not in refusal("SPRINGLINE_URL", "https://u:hunter22@h")
    assert "hunter22" not in refusal("SPRINGLINE_URL", "https://h/?token=hunter22")


def test_a_value_cannot_break_the_line() -> None:
    assert "\x1b" not in refusal("SPRINGLINE_LOG_LEVEL", "a\nb\x1b[2J")


def test_secrets_are_not_in_the_representation() -> None:
    settings = Settings.from_environment(
        {
            "SPRINGLINE_API_TOKEN": "hunter22hunter22",
            "SPRINGLINE_SECRET_KEY": KEY,
            "SPRINGLINE_DATABASE_URL": "postgresql://u:hunter22@h/d",
        }
    )
    assert "hunter22" not in repr(settings)
    assert repr(bytes(range(32))) not in repr(settings)


def test_an_unknown_variable_is_a_warning_with_the_nearest_name() -> None:
    settings = Settings.from_environment(
        {"SPRINGLINE_TOKEN": "x", "SPRINGLINE_DATADIR": "/x", "SPRINGLINE_ZZZ": "hunter22"}
    )
    assert settings.warnings == (
        "SPRINGLINE_DATADIR is not a setting of Springline: did you mean SPRINGLINE_DATA_DIR?",
        "SPRINGLINE_TOKEN is not a setting of Springline: did you mean SPRINGLINE_API_TOKEN?",
        "SPRINGLINE_ZZZ is not a setting of Springline: it has no effect",
    )


def test_the_reference_page_is_the_same_table() -> None:
    page = Path(__file__).parents[1].joinpath("docs/reference/settings.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `SPRINGLINE_")]
    assert rows == [f"| `{variable.name}` | {variable.default} | {variable.meaning} |" for variable in VARIABLES]


def test_every_provider_has_a_base_url() -> None:
    assert len(PROVIDERS) == 14
    for provider in PROVIDERS:
        name = f"SPRINGLINE_{provider.upper()}_BASE_URL"
        assert Settings.from_environment({name: "https://h:1"}).base_urls == {provider: "https://h:1"}
