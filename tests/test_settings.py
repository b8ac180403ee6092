"""Settings come from the environment, and an unusable one is refused by its name."""

import ipaddress
import stat
from pathlib import Path

import pytest

from opsmantik import settings
from opsmantik.errors import SettingsError

GOOD = {
    "nothing set": ({}, "port", 8000),
    "an empty variable is not set": ({"OPSMANTIK_PORT": " "}, "port", 8000),
    "port": ({"OPSMANTIK_PORT": "8123"}, "port", 8123),
    "home is made absolute": ({"OPSMANTIK_HOME": "here"}, "home", Path.cwd() / "here"),
    "DATABASE_URL keeps its usual name": (
        {"DATABASE_URL": "postgres://u@h/d"},
        "database_url",
        "postgres://u@h/d",
    ),
    "networks": (
        {"OPSMANTIK_TRUSTED_PROXIES": "10.0.0.0/8, ::1"},
        "trusted_proxies",
        (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")),
    ),
    "words in capitals": ({"OPSMANTIK_LOG_LEVEL": "DEBUG"}, "log_level", "debug"),
    "a public address loses its slash": (
        {"OPSMANTIK_PUBLIC_URL": "https://leads.example.com/"},
        "base_url",
        "https://leads.example.com",
    ),
    "an address that browsers can open": ({"OPSMANTIK_HOST": "0.0.0.0"}, "base_url", "http://127.0.0.1:8000"),
    "an IPv6 address": ({"OPSMANTIK_HOST": "::1"}, "base_url", "http://[::1]:8000"),
    "the rate limit can be off": ({"OPSMANTIK_RATE_LIMIT_PER_MINUTE": "0"}, "rate_limit_per_minute", 0),
    "Valkey by its own name": (
        {"OPSMANTIK_VALKEY_URL": "valkeys://user:pw@cache.example:6380/2"},
        "valkey_url",
        "valkeys://user:pw@cache.example:6380/2",
    ),
    "Redis": ({"OPSMANTIK_VALKEY_URL": "redis://localhost"}, "valkey_url", "redis://localhost"),
    "a socket": (
        {"OPSMANTIK_VALKEY_URL": "unix:///run/valkey.sock"},
        "valkey_url",
        "unix:///run/valkey.sock",
    ),
    "an issuer keeps its slash": (
        {"OPSMANTIK_OIDC_ISSUER": "https://login.example.com/main/"},
        "oidc_issuer",
        "https://login.example.com/main/",
    ),
    "an issuer on this machine": (
        {"OPSMANTIK_OIDC_ISSUER": "http://localhost:9400"},
        "oidc_issuer",
        "http://localhost:9400",
    ),
    "windows of less than a millisecond": ({"OPSMANTIK_BATCH_WINDOW_MS": "0.5"}, "batch_window_ms", 0.5),
}

BAD = {
    "OPSMANTIK_PORT": ["eighty", "0", "65536", "80.5"],
    "DATABASE_URL": ["mysql://h/d", "postgresql+asyncpg://h/d", "localhost"],
    "OPSMANTIK_APP_DATABASE_URL": ["/var/run"],
    "OPSMANTIK_PUBLIC_URL": ["leads.example.com", "ftp://h", "https://h/?q"],
    "OPSMANTIK_SECRET_KEY": ["short"],
    "OPSMANTIK_TRUSTED_PROXIES": ["10.0.0.1/8", "proxy"],
    "OPSMANTIK_GEO_HEADERS": ["fastly"],
    "OPSMANTIK_LOG_LEVEL": ["loud"],
    "OPSMANTIK_BATCH_MAX": ["0", "-1"],
    "OPSMANTIK_RATE_LIMIT_BURST": ["0"],
    "OPSMANTIK_DISK_FREE_MB": ["-1", "much"],
    "OPSMANTIK_METRICS_TOKEN": ["short"],
    "OPSMANTIK_ALERT_WEBHOOK": ["alerts.example.com", "ftp://h/x"],
    "OPSMANTIK_OIDC_ISSUER": [
        "login.example.com",
        "http://login.example.com",
        "https://h/?q",
        "https://",
        "ftp://localhost",
    ],
    "OPSMANTIK_VALKEY_URL": [
        "localhost:6379",
        "http://cache.example",
        "valkey://",
        "valkey://h:port",
        "unix://",
    ],
}


@pytest.mark.parametrize(("environ", "name", "value"), GOOD.values(), ids=GOOD)
def test_is_read(environ: dict[str, str], name: str, value: object) -> None:
    assert getattr(settings.load(environ), name) == value


@pytest.mark.parametrize(("variable", "text"), [(v, t) for v, texts in BAD.items() for t in texts])
def test_is_refused_by_name(variable: str, text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings.load({variable: text})
    assert refused.value.message.startswith(f"{variable}: ")


def test_every_variable_is_described() -> None:
    assert [v.name for v in settings.variables() if not v.description] == []
    assert "OPSMANTIK_HOME" in {v.name for v in settings.variables()}


def test_secrets_are_not_shown() -> None:
    shown = repr(
        settings.load(
            {
                "DATABASE_URL": "postgres://u:pw-in-url@h/d",
                "OPSMANTIK_SECRET_KEY": "k" * 32,
                "OPSMANTIK_VALKEY_URL": "valkey://u:pw-in-cache@h",
                "OPSMANTIK_ENCRYPTION_KEYS": "e" * 64,
                "OPSMANTIK_GOOGLE_CLIENT_SECRET": "google-s3cret",
                "OPSMANTIK_OIDC_CLIENT_SECRET": "oidc-s3cret",
                "OPSMANTIK_METRICS_TOKEN": "metrics-s3cret" * 4,
                "OPSMANTIK_ALERT_WEBHOOK": "https://chat.example/s3cret",
            }
        )
    )
    assert (
        "pw-in-url" not in shown
        and "pw-in-cache" not in shown
        and "k" * 32 not in shown
        and "e" * 64 not in shown
        and "s3cret" not in shown
        and "port=8000" in shown
    )


def test_the_secret_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    mine = settings.load({"OPSMANTIK_HOME": str(tmp_path / "home")})
    key = settings.secret(mine)
    assert len(key) == 64 and settings.secret(mine) == key
    assert stat.S_IMODE((tmp_path / "home" / "secret.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert [p.name for p in (tmp_path / "home").iterdir()] == ["secret.key"]


def test_a_given_secret_key_is_not_written_down(tmp_path: Path) -> None:
    mine = settings.load({"OPSMANTIK_HOME": str(tmp_path), "OPSMANTIK_SECRET_KEY": "k" * 32})
    assert settings.secret(mine) == "k" * 32 and not list(tmp_path.iterdir())
