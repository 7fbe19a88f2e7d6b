"""What a chat job may ask: tools, formats and conversations with calls, and what is refused."""

import json

import orjson
import pytest

from services.api.settings import MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, MAX_TOOLS
from shared.domain.tokens import token_upper_bound
from shared.messages.requests import ChatRequest
from tests.support.api_bench import ApiBench

_ASKED = {"role": "user", "content": "Weather in Rome?"}
_PARAMETERS = {"type": "object", "properties": {"city": {"type": "string", "default": None}}}
_WEATHER = {"type": "function", "function": {"name": "weather", "parameters": _PARAMETERS}}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
_CALLED = {"role": "assistant", "content": None, "tool_calls": [_CALL]}
_ANSWERED = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
_SCHEMA = {"name": "sky", "schema": _PARAMETERS, "strict": True}


def _body(*messages: object, **more: object) -> dict[str, object]:
    return {"messages": list(messages) or [_ASKED], **more}


def _tool(**function: object) -> dict[str, object]:
    return {"type": "function", "function": {"name": "f", **function}}


def _deep(levels: int) -> dict[str, object]:
    schema: dict[str, object] = {}
    for _ in range(levels - 1):
        schema = {"a": schema}
    return schema


async def _accepted(bench: ApiBench, body: object) -> ChatRequest:
    """Return the stored request as a worker reads it."""
    async with bench.client() as client:
        answer = await client.post("/v1/chat/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return ChatRequest.model_validate_json(bench.jobs.submitted[-1].request_json)


async def test_tools_a_choice_and_a_format_are_stored_for_the_worker(bench: ApiBench) -> None:
    request = await _accepted(
        bench,
        _body(
            tools=[_WEATHER],
            tool_choice={"type": "function", "function": {"name": "weather"}},
            response_format={"type": "json_schema", "json_schema": _SCHEMA},
        ),
    )

    [tool] = request.tools
    assert (tool.function.name, tool.function.parameters) == ("weather", _PARAMETERS)
    assert not isinstance(request.tool_choice, str)
    assert request.tool_choice is not None
    assert request.tool_choice.function.name == "weather"
    assert request.response_format is not None
    assert request.response_format.json_schema is not None
    assert request.response_format.json_schema.schema_ == _PARAMETERS
    assert request.response_format.json_schema.strict is True


@pytest.mark.parametrize(
    ("choice", "stored"),
    [("auto", "auto"), ("none", "none"), ("required", "required"), ("any", "required")],
)
async def test_a_choice_has_a_mode(bench: ApiBench, choice: str, stored: str) -> None:
    request = await _accepted(bench, _body(tools=[_WEATHER], tool_choice=choice))

    assert request.tool_choice == stored


async def test_a_conversation_with_calls_and_parts_is_stored(bench: ApiBench) -> None:
    parts = [{"type": "text", "text": "Weather"}, {"type": "text", "text": "in Rome?"}]

    request = await _accepted(bench, _body({"role": "user", "content": parts}, _CALLED, _ANSWERED))

    asked, called, answered = request.messages
    assert not isinstance(asked.content, str)
    assert [part.text for part in asked.content] == ["Weather", "in Rome?"]
    assert (called.content, called.tool_calls[0].function.name) == ("", "weather")
    assert (answered.role, answered.tool_call_id, answered.content) == ("tool", "call_1", "sunny")


async def test_a_tool_may_answer_nothing(bench: ApiBench) -> None:
    request = await _accepted(bench, _body(_ASKED, _CALLED, {**_ANSWERED, "content": ""}))

    assert request.messages[-1].content == ""


@pytest.mark.parametrize("kind", ["text", "json_object"])
async def test_a_format_may_have_no_schema(bench: ApiBench, kind: str) -> None:
    request = await _accepted(bench, _body(response_format={"type": kind}))

    assert request.response_format is not None
    assert (request.response_format.type, request.response_format.json_schema) == (kind, None)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [_WEATHER]},
        {"response_format": {"type": "json_schema", "json_schema": _SCHEMA}},
        {"messages": [_ASKED, _CALLED, _ANSWERED]},
    ],
)
async def test_whatever_the_model_reads_counts_as_input(
    bench: ApiBench, more: dict[str, object]
) -> None:
    await _accepted(bench, _body())
    await _accepted(bench, _body(**more))

    bare, job = bench.jobs.submitted
    beside = len(json.dumps({**more, "messages": more.get("messages", [])}))
    assert job.input_tokens_bound > bare.input_tokens_bound + beside / 2


async def test_tools_count_in_the_longest_form_in_which_a_template_writes_them(
    bench: ApiBench,
) -> None:
    tool = _tool(description="naïve \U0001f600", parameters=_PARAMETERS)
    await _accepted(bench, _body(tools=[tool]))

    written = json.dumps(tool, indent=4, ensure_ascii=True)
    assert bench.jobs.submitted[0].input_tokens_bound > token_upper_bound(written)


async def test_the_deepest_schema_is_taken(bench: ApiBench) -> None:
    await _accepted(bench, _body(tools=[_tool(parameters=_deep(MAX_SCHEMA_DEPTH))]))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (_body({"role": "robot", "content": "x"}), "messages.0.role"),
        (_body({"role": "user"}), "messages.0.content"),
        (_body({"role": "user", "content": ""}), "messages.0.content"),
        (_body({"role": "user", "content": None}), "messages.0.content"),
        (_body({"role": "user", "content": 7}), "messages.0.content"),
        (_body({"role": "user", "content": "\0"}), "messages.0.content"),
        (_body({"role": "user", "content": []}), "messages.0.content"),
        (
            _body({"role": "user", "content": [{"type": "image_url", "text": "x"}]}),
            "messages.0.content.0.type",
        ),
        (
            _body({"role": "user", "content": [{"type": "text", "text": ""}]}),
            "messages.0.content.0.text",
        ),
        (_body({**_CALLED, "role": "user"}), "messages.0.tool_calls"),
        (_body({**_CALLED, "tool_calls": []}), "messages.0.tool_calls"),
        (
            _body({**_CALLED, "tool_calls": [{**_CALL, "id": ""}]}),
            "messages.0.tool_calls.0.id",
        ),
        (
            _body({**_CALLED, "tool_calls": [{**_CALL, "function": {"name": "no good"}}]}),
            "messages.0.tool_calls.0.function.name",
        ),
        (_body(_ASKED, {"role": "tool", "content": "x"}), "messages.1.tool_call_id"),
        (_body(_ASKED, _ANSWERED), "messages.1.tool_call_id"),
        (_body(_ANSWERED, _CALLED), "messages.0.tool_call_id"),
        (_body(_ASKED, _CALLED, {**_ANSWERED, "content": None}), "messages.2.content"),
        (_body({**_ASKED, "tool_call_id": "call_1"}), "messages.0.tool_call_id"),
        (_body(tools=[]), "tools"),
        (_body(tools=[_tool(name=f"f{n}") for n in range(MAX_TOOLS + 1)]), "tools"),
        (_body(tools=[{"type": "search"}]), "tools.0.type"),
        (_body(tools=[_tool(name="no good")]), "tools.0.function.name"),
        (_body(tools=[_tool(), _tool()]), "tools.1.function.name"),
        (_body(tools=[_tool(parameters=[])]), "tools.0.function.parameters"),
        (_body(tools=[_tool(parameters={"a": "\0"})]), "tools.0.function.parameters"),
        (_body(tools=[_tool(description="x" * 4_097)]), "tools.0.function.description"),
        (
            _body(tools=[_tool(parameters=_deep(MAX_SCHEMA_DEPTH + 1))]),
            "tools.0.function.parameters",
        ),
        (
            _body(tools=[_tool(parameters={"a": ["x" * MAX_SCHEMA_BYTES]})]),
            "tools.0.function.parameters",
        ),
        (
            _body(tools=[_tool(name=f"f{n}", parameters={"a": "x" * 60_000}) for n in range(5)]),
            "tools",
        ),
        (_body(tool_choice="auto"), "tool_choice"),
        (_body(tools=[_WEATHER], tool_choice="maybe"), "tool_choice"),
        (_body(tools=[_WEATHER], tool_choice=7), "tool_choice"),
        (
            _body(
                tools=[_WEATHER], tool_choice={"type": "function", "function": {"name": "other"}}
            ),
            "tool_choice.function.name",
        ),
        (_body(response_format={"type": "xml"}), "response_format.type"),
        (_body(response_format={"type": "json_schema"}), "response_format.json_schema"),
        (
            _body(response_format={"type": "json_object", "json_schema": _SCHEMA}),
            "response_format.json_schema",
        ),
        (
            _body(response_format={"type": "json_schema", "json_schema": {"name": "x"}}),
            "response_format.json_schema.schema",
        ),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_its_field(
    bench: ApiBench, body: object, param: str
) -> None:
    async with bench.client() as client:
        answer = await client.post(
            "/v1/chat/jobs",
            content=orjson.dumps(body),
            headers={"content-type": "application/json"},
        )

    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == param
    assert answer.json()["error"]["code"] == "invalid_value"
    assert not bench.jobs.submitted
