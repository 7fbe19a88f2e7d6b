import pytest

from shared.providers.cloudflare_connection import CloudflareAccount, TokenRotation


def test_tokens_take_turns() -> None:
    rotation = TokenRotation(["a", "b", "c"])

    assert [rotation.next(0.0) for _ in range(4)] == ["a", "b", "c", "a"]


def test_a_refused_token_is_passed_over_for_a_minute() -> None:
    rotation = TokenRotation(["a", "b"])

    assert rotation.set_aside("a", 0.0)
    assert [rotation.next(59.0) for _ in range(2)] == ["b", "b"]
    assert [rotation.next(60.0) for _ in range(2)] == ["a", "b"]


def test_when_all_tokens_are_refused_they_take_turns_all_the_same() -> None:
    rotation = TokenRotation(["a", "b"])
    rotation.set_aside("a", 0.0)

    assert not rotation.set_aside("b", 0.0)
    assert {rotation.next(1.0) for _ in range(2)} == {"a", "b"}


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.example/client/v4/", "https://api.example/client/v4/accounts/x/ai/run/@cf/m"),
        (
            "https://gateway.ai.cloudflare.com/v1/x/gate",
            "https://gateway.ai.cloudflare.com/v1/x/gate/workers-ai/@cf/m",
        ),
    ],
)
def test_a_model_is_called_at_the_api_or_at_a_gateway(base_url: str, url: str) -> None:
    assert CloudflareAccount("x", ["t"], base_url).run_url("@cf/m") == url


def test_an_account_hides_its_tokens() -> None:
    assert "secret" not in repr(CloudflareAccount("x", ["secret"]))


def test_a_call_may_want_a_token_of_its_own() -> None:
    rotation = TokenRotation(["a", "b", "c"])
    wanted = (1, 1, 2, 0, None)
    assert [rotation.next(0.0, one) for one in wanted] == ["b", "b", "c", "a", "b"]


def test_a_wanted_token_that_was_refused_is_passed_over() -> None:
    rotation = TokenRotation(["a", "b"])
    rotation.set_aside("b", 0.0)
    assert rotation.next(1.0, 1) == "a"


def test_a_models_slashes_are_encoded_on_request() -> None:
    account = CloudflareAccount("x", ["t"], "https://api.example", encodes_model=True)

    assert account.run_url("@cf/baai/bge-m3") == (
        "https://api.example/accounts/x/ai/run/@cf%2Fbaai%2Fbge-m3"
    )
