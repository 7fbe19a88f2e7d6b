import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.tokens import chat_upper_bound, estimated_tokens, token_upper_bound


@given(st.text())
def test_the_bound_covers_every_byte_in_every_normal_form(text: str) -> None:
    bound = token_upper_bound(text)

    assert bound >= len(text.encode())
    assert bound >= len(unicodedata.normalize("NFC", text).encode())
    assert bound >= len(unicodedata.normalize("NFKC", text).encode())


@given(st.text(st.characters()))
def test_the_estimate_is_at_least_one_and_below_the_bound(text: str) -> None:
    assert 1 <= estimated_tokens(text) < token_upper_bound(text)


@given(st.lists(st.text()), st.text())
def test_a_longer_chat_has_a_greater_bound(contents: list[str], text: str) -> None:
    assert chat_upper_bound([*contents, text]) > chat_upper_bound(contents)
