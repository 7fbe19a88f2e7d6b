from shared.domain.tokens import chat_upper_bound, estimated_tokens, token_upper_bound


def test_an_empty_text_counts_as_one_token() -> None:
    assert estimated_tokens("") == 1


def test_english_is_estimated_above_its_real_count() -> None:
    assert estimated_tokens("The quick brown fox jumps over the lazy dog.") >= 10


def test_a_chinese_character_is_estimated_as_a_token() -> None:
    assert estimated_tokens("你好世界") == 4


def test_a_lone_surrogate_can_be_counted() -> None:
    assert estimated_tokens("\ud800") == 1
    assert token_upper_bound("\ud800") >= 3


def test_the_bound_counts_every_byte() -> None:
    assert token_upper_bound("0123456789") >= 10
    assert token_upper_bound("🙂") >= 4


def test_the_bound_covers_texts_that_normalisation_lengthens() -> None:
    assert token_upper_bound("\ufdfa") >= 18


def test_the_bound_of_a_chat_covers_its_template() -> None:
    contents = ["You are brief.", "Hello"]

    assert chat_upper_bound(contents) > sum(map(token_upper_bound, contents))
    assert chat_upper_bound([]) > 0


def test_the_bound_covers_letters_that_fall_into_more_characters_than_bytes() -> None:
    assert token_upper_bound("\u01d6" * 100) >= 300
