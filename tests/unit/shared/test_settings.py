from decimal import Decimal
from pathlib import Path

import pytest

from shared.domain.catalog import Provider
from shared.settings import (
    AdminSettings,
    BrokerSettings,
    CloudflareSettings,
    DatabaseSettings,
    ProcessSettings,
    ProviderKeySettings,
    RoutingSettings,
    load,
)


@pytest.fixture(autouse=True)
def _no_dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@host:5432/name")
    monkeypatch.setenv("RABBITMQ_URL", "amqp://user:secret@host/%2F")
    assert load(DatabaseSettings).url == "postgresql://user:secret@host:5432/name"
    assert load(BrokerSettings).url == "amqp://user:secret@host/%2F"


def test_a_missing_setting_ends_the_process_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(SystemExit) as ended:
        load(DatabaseSettings)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "DATABASE_URL" in told


@pytest.mark.parametrize(
    ("name", "value", "group"),
    [
        ("DATABASE_URL", "mysql://user:hunter2@host/name", DatabaseSettings),
        ("RABBITMQ_URL", "http://user:hunter2@host", BrokerSettings),
        ("CLOUDFLARE_ROLLOUT", "1.01", RoutingSettings),
        ("SLUICEWAY_ADMIN_KEY", "hunter2", AdminSettings),
        ("SLUICEWAY_PREFETCH", "0", ProcessSettings),
        ("SLUICEWAY_PROVIDER_KEYS", "hunter2", ProviderKeySettings),
        ("SLUICEWAY_PROVIDER_KEYS", "No Name=hunter2", ProviderKeySettings),
        ("SLUICEWAY_PROVIDER_KEYS", "local=hunter2,other=", ProviderKeySettings),
        ("SLUICEWAY_PROCESS_NAME", "Not A Name", ProcessSettings),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    group: type[DatabaseSettings],
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(group)
    told = capsys.readouterr().err
    assert name in told
    assert "hunter2" not in told


def test_every_mistake_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CLOUDFLARE_ACCOUNT_ID", raising=False)
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN", raising=False)
    with pytest.raises(SystemExit):
        load(CloudflareSettings)
    told = capsys.readouterr().err
    assert "CLOUDFLARE_ACCOUNT_ID" in told
    assert "CLOUDFLARE_API_TOKEN" in told


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "account")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "hunter2")
    settings = load(CloudflareSettings)
    assert "hunter2" not in repr(settings)
    assert settings.api_token.get_secret_value() == "hunter2"


def test_addresses_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@host:5432/name")
    monkeypatch.setenv("RABBITMQ_URL", "amqp://user:hunter2@host/")
    assert "hunter2" not in repr([load(DatabaseSettings), load(BrokerSettings)])


def test_the_rollout_is_an_exact_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_ROLLOUT", "0.1")
    assert load(RoutingSettings).rollout == Decimal("0.1")


@pytest.mark.parametrize("share", ["-0.1", "1.01", "0.12345", "NaN", "most"])
def test_a_share_that_no_rollout_can_have_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], share: str
) -> None:
    monkeypatch.setenv("CLOUDFLARE_ROLLOUT", share)
    with pytest.raises(SystemExit):
        load(RoutingSettings)
    assert "CLOUDFLARE_ROLLOUT" in capsys.readouterr().err


def test_each_server_has_the_key_that_is_named_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICEWAY_PROVIDER_KEYS", "local = sk-a=b, other=sk-c,")
    keys = load(ProviderKeySettings)
    named = [keys.key_of(Provider(name)) for name in ("local", "other", "third")]
    assert named == ["sk-a=b", "sk-c", ""]
    assert "sk-" not in repr(keys)


def test_servers_need_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLUICEWAY_PROVIDER_KEYS", raising=False)
    assert load(ProviderKeySettings).key_of(Provider("local")) == ""


@pytest.mark.parametrize(("value", "encodes"), [(None, False), ("true", True), ("0", False)])
def test_model_names_are_encoded_on_request(
    monkeypatch: pytest.MonkeyPatch,
    value: str | None,
    encodes: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "account")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "token")
    if value is not None:
        monkeypatch.setenv("CLOUDFLARE_ENCODE_MODEL", value)
    assert load(CloudflareSettings).encode_model is encodes
