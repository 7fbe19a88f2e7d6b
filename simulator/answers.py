"""What the simulated model says: deterministic, made of the prompt's own words.

Invariant: the same request gets the same answer, of 20 to 60 tokens unless the prompt asks for
`[[words=N]]` or the request's token limit is lower.
"""

import re
import zlib
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

import orjson

from simulator.json_values import JsonObject, is_object
from simulator.tokens import count_tokens, split_tokens

FinishReason = Literal["stop", "length"]

_WORDS_WANTED = re.compile(r"\[\[words=(\d{1,6})\]\]")
_OPENING = ("You", "wrote:")
_LONGEST_WORD = 12
_FEWEST_TOKENS = 24
_SPREAD_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer: its pieces (one per token), why it ended, the tokens spent on thinking."""

    pieces: list[str]
    finish_reason: FinishReason
    hidden_tokens: int = 0

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)

    @property
    def output_tokens(self) -> int:
        """What is billed."""
        return len(self.pieces) + self.hidden_tokens


def think_only(max_tokens: int) -> Answer:
    """Return the answer of a model that spent every token on thinking."""
    return Answer([], "length", hidden_tokens=max_tokens)


def compose(prompt: str, max_tokens: int | None, response_format: JsonObject | None) -> Answer:
    """Answer a prompt within `max_tokens`; `response_format` asks for a JSON object."""
    text = _prose(prompt)
    if response_format is not None:
        text = orjson.dumps(_object_for(response_format, text)).decode()
    pieces = split_tokens(text)
    if max_tokens is not None and len(pieces) > max_tokens:
        return Answer(pieces[:max_tokens], "length")
    return Answer(pieces, "stop")


def _prose(prompt: str) -> str:
    wanted = _WORDS_WANTED.search(prompt)
    own_words = [word[:_LONGEST_WORD] for word in _WORDS_WANTED.sub(" ", prompt).split()[:200]]
    source = cycle(own_words or ["nothing"])
    if wanted:
        words = [*_OPENING, *(next(source) for _ in range(int(wanted[1])))]
        return " ".join(words[: int(wanted[1])])
    return _short_prose(prompt, source)


def _short_prose(prompt: str, source: "cycle[str]") -> str:
    words: list[str] = [*_OPENING]
    missing = _FEWEST_TOKENS + zlib.crc32(prompt.encode()) % _SPREAD_TOKENS
    while missing > 0:
        word = next(source)
        words.append(word)
        missing -= count_tokens(word)
    return " ".join(words)


def _object_for(response_format: JsonObject, text: str) -> JsonObject:
    schema = response_format.get("json_schema")
    if is_object(schema) and is_object(schema.get("schema")):
        schema = schema["schema"]
    properties = schema.get("properties") if is_object(schema) else None
    if not is_object(properties):
        return {"answer": text}
    return {name: _value_for(wanted, text) for name, wanted in properties.items()}


def _value_for(wanted: object, text: str) -> object:
    values: JsonObject = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    kind = wanted.get("type") if is_object(wanted) else None
    return values.get(kind, text) if isinstance(kind, str) else text
