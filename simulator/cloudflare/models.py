"""What is peculiar to single models of Cloudflare (captures and model pages of 2026).

Llama and its like answer natively, gemma, glm, qwen, gpt-oss and kimi like OpenAI, and some llamas
in both shapes at once. Invariant: a model's name decides everything here.
"""

from simulator.json_values import JsonObject, is_object

_OPENAI_LIKE = ("gemma", "glm", "qwen", "qwq", "gpt-oss", "kimi")
_BOTH_SHAPES = ("llama-3.1-8b-instruct-fast", "llama-3.1-8b-instruct-fp8-fast", "llama-4-scout")
_THINKING = ("gemma-4", "glm", "gpt-oss", "kimi")
_PAID_ONLY = ("kimi-k2.6", "kimi-k2.7", "glm-5.2", "glm-5.3", "deepseek-v4")


def speaks_openai(model: str) -> bool:
    """Tell whether a model answers in the OpenAI-like shape."""
    return any(family in model for family in _OPENAI_LIKE)


def answers_in_both_shapes(model: str) -> bool:
    """Tell whether a model's whole answers carry `choices` and `response`."""
    return any(name in model for name in _BOTH_SHAPES)


def ignores_stream(model: str) -> bool:
    """Tell whether a model answers in one piece even if a stream was asked for."""
    return "gpt-oss" in model


def has_json_schema(model: str) -> bool:
    """Tell whether a model takes JSON schemas."""
    return not model.endswith("llama-3.1-8b-instruct-fp8")


def needs_paid_plan(model: str) -> bool:
    """Tell whether a model is only there for accounts on the Workers Paid plan."""
    return any(name in model for name in _PAID_ONLY)


def thinks(model: str, body: JsonObject) -> bool:
    """Tell whether a model thinks about a request first: by default, unless it is told not to."""
    if not any(family in model for family in _THINKING):
        return False
    options = body.get("chat_template_kwargs")
    told = options if is_object(options) else {}
    if "kimi" in model and False in (told.get("thinking"), body.get("thinking")):
        return False
    return told.get("enable_thinking") is not False


def reasoning_field(model: str) -> str:
    """Return the name under which a model shows its thoughts."""
    return "reasoning" if "gpt-oss" in model else "reasoning_content"


def reported_model(model: str) -> str:
    """Return the id a reply names, which differs from the requested one for some models."""
    if "gemma-4" in model:
        return f"{model}-external"
    return "@cf/meta/llama-3.1-8b-fast-v2" if "llama-3.1-8b" in model else model
