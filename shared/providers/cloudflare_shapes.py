"""Reads Workers AI's chat answers: two streaming dialects and five shapes of whole answers.

Which one comes depends on the model and changes without notice, so every reader takes them all:
`choices` first, then `response`. Invariant: padding and unknown members change nothing.
"""

from shared.domain.usage import TokenUsage
from shared.providers.answer_progress import AnswerProgress
from shared.providers.json_reading import (
    JsonObject,
    amount_of,
    count_of,
    decode_object,
    first_object_at,
    is_object,
    object_at,
    text_of,
)

_DONE = b"[DONE]"


def read_event(data: bytes, progress: AnswerProgress) -> None:
    """Take one event of a stream.

    Raises:
        MalformedAnswerError: The event is no JSON object.
        ProviderTransientError: It says that the model failed.
        ProviderPermanentError: It says that the request is wrong.
    """
    if data == _DONE:
        progress.is_ended = True
        return
    event = decode_object(data)
    if event.get("errors") or event.get("error"):
        raise progress.refused(error_code(event))
    if event.get("choices"):
        _read_choice(first_object_at(event, "choices"), progress)
    else:
        _read_native(event, progress)
    _read_about(event, progress)


def read_whole(result: JsonObject, progress: AnswerProgress) -> None:
    """Take a whole answer, as some models send even if a stream was asked for."""
    choice = first_object_at(result, "choices")
    message = object_at(choice, "message")
    text = text_of(message.get("content")) or text_of(choice.get("text"))
    progress.add_whole_text(text or text_of(result.get("response")))
    if not progress.add_whole_tool_calls(message.get("tool_calls")):
        progress.add_whole_tool_calls(result.get("tool_calls"))
    _read_finish_reason(choice, progress)
    _read_about(result, progress)
    progress.is_ended = True


def error_code(body: JsonObject) -> str | None:
    """Return the code of an error body: the platform's envelope or the AI gateway's."""
    first = first_object_at(body, "errors") or first_object_at(body, "error")
    code = first.get("code") or object_at(body, "error").get("code") or body.get("internalCode")
    return None if code is None else str(code)


def usage_of(result: JsonObject) -> TokenUsage | None:
    """Return the usage of a result: its `usage`, or the cost in bge-m3's `meta`."""
    usage = result.get("usage")
    if is_object(usage):
        return TokenUsage(
            count_of(usage.get("prompt_tokens")),
            count_of(usage.get("completion_tokens")),
            amount_of(usage.get("neurons")),
            cached_tokens=count_of(object_at(usage, "prompt_tokens_details").get("cached_tokens")),
        )
    meta = object_at(result, "meta")
    if tokens := count_of(meta.get("cost_metric_value_1")):
        return TokenUsage(tokens, 0, amount_of(meta.get("neurons")))
    return None


def _read_native(event: JsonObject, progress: AnswerProgress) -> None:
    if text := text_of(event.get("response")):
        progress.add_text(text)
    progress.add_tool_calls(event.get("tool_calls"))


def _read_choice(choice: JsonObject, progress: AnswerProgress) -> None:
    delta = object_at(choice, "delta")
    if text := text_of(delta.get("content")):
        progress.add_text(text)
    elif delta.get("reasoning_content") or delta.get("reasoning"):
        progress.add_reasoning()
    progress.add_tool_calls(delta.get("tool_calls"))
    _read_finish_reason(choice, progress)


def _read_finish_reason(choice: JsonObject, progress: AnswerProgress) -> None:
    if reason := choice.get("finish_reason"):
        progress.finish_reason = text_of(reason)


def _read_about(result: JsonObject, progress: AnswerProgress) -> None:
    if usage := usage_of(result):
        progress.report(usage)
    if progress.model_answered is None and (model := result.get("model")):
        progress.model_answered = text_of(model)
