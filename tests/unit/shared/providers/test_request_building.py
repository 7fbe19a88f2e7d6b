import pytest

from shared.providers.openai_models import takes_dimensions, takes_temperature
from shared.providers.request_options import with_options


def test_an_option_wins_over_the_body() -> None:
    body = with_options({"max_tokens": 1, "options": {"rejectIfBusy": True, "x": 1}}, {})

    assert with_options(body, {"max_tokens": 2, "options.rejectIfBusy": False, "a.b.c": "d"}) == {
        "max_tokens": 2,
        "options": {"rejectIfBusy": False, "x": 1},
        "a": {"b": {"c": "d"}},
    }
    assert body == {"max_tokens": 1, "options": {"rejectIfBusy": True, "x": 1}}


@pytest.mark.parametrize("model", ["gpt-5", "gpt-6-luna", "gpt-6.1-sol", "o3-mini"])
def test_a_reasoning_model_takes_no_temperature(model: str) -> None:
    assert not takes_temperature(model)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "local-model"])
def test_another_model_takes_a_temperature(model: str) -> None:
    assert takes_temperature(model)


def test_only_third_generation_embeddings_take_dimensions() -> None:
    assert takes_dimensions("text-embedding-3-large")
    assert not takes_dimensions("text-embedding-ada-002")
