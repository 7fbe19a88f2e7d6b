"""What the simulated model says: deterministic, made of the prompt's own words.

Invariant: the same request gets the same answer, of 20 to 60 tokens unless the prompt asks for
`[[words=N]]` or the request's token limit is lower; thoughts are spent from the same limit first.
"""

import re
import zlib
from dataclasses import dataclass, field
from itertools import cycle
from typing import Literal

import orjson

from simulator.json_objects import object_for
from simulator.json_values import JsonObject, is_object
from simulator.tokens import split_tokens, word_tokens
from simulator.tools import Tool

FinishReason = Literal["stop", "length", "tool_calls"]

_WORDS_WANTED = re.compile(r"\[\[words=(\d{1,6})\]\]")
_WORDS_MARK = "[[words="
_OPENING = ("You", "wrote:")
_LONGEST_WORD = 12
_FEWEST_TOKENS = 24
_FEWEST_THOUGHTS = 32
_SPREAD_TOKENS = 32
_THOUGHT = " hm."


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer.

    Attributes:
        pieces: The text, or the arguments of the tool that is called, one piece per token.
        finish_reason: Why it ended.
        thoughts: What was thought before, one piece per token.
        tool: The name of the tool that is called.
    """

    pieces: list[str]
    finish_reason: FinishReason
    thoughts: list[str] = field(default_factory=list[str])
    tool: str | None = None

    @property
    def text(self) -> str:
        """The whole text; blank when a tool is called instead."""
        return "" if self.tool else "".join(self.pieces)

    @property
    def arguments(self) -> str:
        """The arguments of the tool that is called, as JSON."""
        return "".join(self.pieces)

    @property
    def output_tokens(self) -> int:
        """What is billed."""
        return len(self.pieces) + len(self.thoughts)


def think_only(max_tokens: int) -> Answer:
    """Return the answer of a model that spent every token on thinking."""
    return Answer([], "length", [_THOUGHT] * max_tokens)


def think(prompt: str) -> list[str]:
    """Return the thoughts that a prompt gives rise to."""
    return [_THOUGHT] * (_FEWEST_THOUGHTS + zlib.crc32(prompt.encode()) % _SPREAD_TOKENS)


def compose(
    prompt: str,
    max_tokens: int | None,
    response_format: JsonObject | None = None,
    *,
    thoughts: list[str] | None = None,
    tool: Tool | None = None,
) -> Answer:
    """Answer a prompt within `max_tokens`; `response_format` asks for a JSON object."""
    thought = (thoughts or [])[:max_tokens]
    pieces = split_tokens(_content(prompt, response_format, tool))
    name = tool.name if tool else None
    if max_tokens is not None and len(pieces) + len(thought) > max_tokens:
        return Answer(pieces[: max_tokens - len(thought)], "length", thought, name)
    return Answer(pieces, "tool_calls" if tool else "stop", thought, name)


def _content(prompt: str, response_format: JsonObject | None, tool: Tool | None) -> str:
    text = _prose(prompt)
    if tool is not None:
        return orjson.dumps(object_for(tool.parameters, text) or {}).decode()
    if response_format is not None:
        return orjson.dumps(_object_for(response_format, text)).decode()
    return text


def _prose(prompt: str) -> str:
    wanted = _WORDS_WANTED.search(prompt) if _WORDS_MARK in prompt else None
    asked = _WORDS_WANTED.sub(" ", prompt) if wanted else prompt
    own_words = [word[:_LONGEST_WORD] for word in asked.split()[:200]]
    source = cycle(own_words or ["nothing"])
    if wanted:
        words = [*_OPENING, *(next(source) for _ in range(int(wanted[1])))]
        return " ".join(words[: int(wanted[1])])
    return _short_prose(prompt, source)


def _short_prose(prompt: str, source: "cycle[str]") -> str:
    words: list[str] = [*_OPENING]
    missing = _FEWEST_TOKENS + zlib.crc32(prompt.encode()) % _SPREAD_TOKENS
    for word in source:
        words.append(word)
        missing -= word_tokens(word)
        if missing <= 0:
            break
    return " ".join(words)


def _object_for(response_format: JsonObject, text: str) -> JsonObject:
    """Return an object of the wanted schema, which may come bare or wrapped as OpenAI does."""
    schema = response_format.get("json_schema")
    if is_object(schema) and is_object(schema.get("schema")):
        schema = schema["schema"]
    fitting = object_for(schema, text)
    return {"answer": text} if fitting is None else fitting
