import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.assumed_usage import assumed_prompt_tokens, assumed_tokens
from shared.domain.provider_calls import ChatMessage
from shared.domain.tokens import chat_upper_bound, estimated_tokens, token_upper_bound


@given(st.text())
def test_the_bound_covers_every_byte_in_every_normal_form(text: str) -> None:
    bound = token_upper_bound(text)

    assert bound >= len(text.encode())
    assert bound >= len(unicodedata.normalize("NFC", text).encode())
    assert bound >= len(unicodedata.normalize("NFKC", text).encode())


@settings(deadline=None)
@given(st.text())
def test_the_bound_covers_every_character_however_it_is_decomposed(text: str) -> None:
    bound = token_upper_bound(text)

    for lowered in (text, text.lower(), text.casefold()):
        assert bound >= len(unicodedata.normalize("NFD", lowered))
        assert bound >= len(unicodedata.normalize("NFKD", lowered))


@settings(deadline=None)
@given(st.lists(st.text(), min_size=1))
def test_what_is_assumed_without_a_report_is_within_the_bound(contents: list[str]) -> None:
    messages = [ChatMessage("user", content) for content in contents]

    assert assumed_prompt_tokens(messages) <= chat_upper_bound(contents)
    assert all(assumed_tokens(one) <= token_upper_bound(one) for one in contents)


@given(st.text(st.characters()))
def test_the_estimate_is_at_least_one_and_below_the_bound(text: str) -> None:
    assert 1 <= estimated_tokens(text) < token_upper_bound(text)


@given(st.lists(st.text()), st.text())
def test_a_longer_chat_has_a_greater_bound(contents: list[str], text: str) -> None:
    assert chat_upper_bound([*contents, text]) > chat_upper_bound(contents)
