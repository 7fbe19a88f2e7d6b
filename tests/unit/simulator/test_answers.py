import orjson
from hypothesis import given
from hypothesis import strategies as st

from simulator.answers import compose, think_only
from simulator.json_values import JsonObject


@given(st.text())
def test_an_answer_has_20_to_60_tokens(prompt: str) -> None:
    if "[[words=" not in prompt:
        assert 20 <= compose(prompt, None, None).output_tokens <= 60


def test_the_same_prompt_gets_the_same_answer_in_its_own_words() -> None:
    answer = compose("compare queues", None, None)
    assert answer == compose("compare queues", None, None)
    assert "compare queues" in answer.text


def test_a_lower_limit_ends_the_answer_for_length() -> None:
    answer = compose("compare queues", 3, None)
    assert (answer.output_tokens, answer.finish_reason) == (3, "length")


def test_a_prompt_can_ask_for_a_number_of_words() -> None:
    answer = compose("write at length [[words=500]]", None, None)
    assert len(answer.text.split()) == 500
    assert "[[" not in answer.text


def test_json_mode_answers_with_an_object() -> None:
    answer = orjson.loads(compose("compare", None, {"type": "json_object"}).text)
    assert answer["answer"].startswith("You wrote: compare")


def test_a_wrapped_or_bare_schema_names_the_fields() -> None:
    schema = {"properties": {"title": {"type": "string"}, "count": {"type": "integer"}}}
    for given_schema in (schema, {"name": "x", "schema": schema}):
        wanted: JsonObject = {"type": "json_schema", "json_schema": given_schema}
        answer = orjson.loads(compose("compare", None, wanted).text)
        assert answer.keys() == {"title", "count"}
        assert answer["count"] == 1


def test_thinking_spends_tokens_without_text() -> None:
    answer = think_only(64)
    assert (answer.text, answer.output_tokens, answer.finish_reason) == ("", 64, "length")
