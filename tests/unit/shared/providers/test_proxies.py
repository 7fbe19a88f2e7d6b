import pytest

from shared.providers.proxies import proxy_for

_PROXY = "http://proxy.internal:3128"


def test_without_a_proxy_the_server_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_for("https://provider.example/v1") is None


def test_the_environments_proxy_is_used_for_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", _PROXY)
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert proxy_for("https://provider.example/v1") == _PROXY
    assert proxy_for("https://127.0.0.1:8000/v1") is None
