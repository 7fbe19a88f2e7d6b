"""The field names of the providers' answers, as they were captured."""

import json
from collections.abc import Iterable

ENVELOPE = {"result", "success", "errors", "messages"}
CF_USAGE = {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"}
CF_PRICED_USAGE = CF_USAGE | {"neurons"}
CF_NATIVE = {"response", "tool_calls", "usage"}
CF_OPENAI_LIKE = {"id", "object", "created", "model", "choices", "usage"}
CF_BOTH = {"choices", "model", "object", "response", "usage"}
CF_PROMPT = {"choices", "usage"}
CF_CHUNK = {"id", "object", "created", "model", "choices", "p", "usage"}
CF_BGE_M3 = {"shape", "data", "pooling", "response", "meta"}
CF_BGE_M3_META = {"cost_metric_name_1", "cost_metric_value_1", "neurons"}
CF_QWEN3 = {"shape", "data", "usage"}
BILL_ROW = {
    "call_id",
    "request_id",
    "provider",
    "model",
    "input_tokens",
    "output_tokens",
    "neurons",
    "free_neurons",
    "cost_usd",
    "completed",
    "at",
}
OPENAI_CHUNK = {
    "id",
    "object",
    "created",
    "model",
    "service_tier",
    "system_fingerprint",
    "choices",
    "usage",
    "obfuscation",
}


def data_lines(body: str) -> list[str]:
    """Return what follows `data: ` in each event of a stream."""
    return [line.removeprefix("data: ") for line in body.split("\n\n") if line]


def events(lines: Iterable[str]) -> list[dict[str, object]]:
    """Return the decoded events before the terminator."""
    return [json.loads(line) for line in lines if line != "[DONE]"]


def usage_of(event: dict[str, object]) -> dict[str, float]:
    """Return the counts of an event's usage."""
    usage: dict[str, object] = json.loads(json.dumps(event["usage"]))
    return {name: count for name, count in usage.items() if isinstance(count, int | float)}
