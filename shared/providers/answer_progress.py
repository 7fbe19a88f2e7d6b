"""What has arrived of a streamed answer, and what it is known to have consumed.

Invariant: usage is what the provider reported last; where it reported none, or only increments, it
is what was counted here: an answer that broke off is billed, so it must be booked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.domain.assumed_usage import assumed_input_tokens
from shared.domain.catalog import Operation, Provider
from shared.domain.errors import ProviderPermanentError, ProviderTransientError
from shared.domain.provider_calls import ChatCall, ChatFinished, ToolCall
from shared.domain.rate_limits import RateReport
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.providers.errors import Refusal, own_error, refusal_error
from shared.providers.tool_calls import GrowingToolCalls


@dataclass(slots=True)
class AnswerProgress:
    """The state of one answer.

    Attributes:
        request_id: The provider's id of the request, once it is known.
        has_begun: Whether the provider has accepted the request.
        is_whole: Whether the answer comes in one piece, so that nobody sees its tokens before.
        is_ended: Whether the provider said that this is all.
        limits: What the provider says is left of its limits.
        service_tier: How the provider says that it serves the call; None for its usual way.
    """

    provider: Provider
    call: ChatCall
    request_id: str | None = None
    has_begun: bool = False
    is_whole: bool = False
    finish_reason: str | None = None
    model_answered: str | None = None
    is_ended: bool = False
    service_tier: str | None = None
    limits: RateReport | None = None
    _unread: list[str] = field(default_factory=list[str])
    _has_text: bool = False
    _tokens: int = 0
    _reported: TokenUsage | None = None
    _most_input: int = 0
    _tool_calls: GrowingToolCalls = field(init=False)

    def __post_init__(self) -> None:
        self._tool_calls = GrowingToolCalls(self.call.attempt_id)

    @property
    def tokens(self) -> int:
        """How many tokens have arrived; both providers send one with each piece."""
        return self._tokens

    def add_text(self, text: str) -> None:
        """Take the next token of the answer."""
        self._tokens += 1
        self._has_text = True
        self._unread.append(text)

    def add_whole_text(self, text: str) -> None:
        """Take an answer that came in one piece, whose tokens its usage tells."""
        if text:
            self._has_text = True
            self._unread.append(text)

    def add_reasoning(self) -> None:
        """Take a token that is billed but not shown."""
        self._tokens += 1

    def add_tool_calls(self, pieces: object) -> None:
        """Take a delta's pieces of tool calls, a token."""
        if self._tool_calls.add(pieces):
            self._tokens += 1

    def add_whole_tool_calls(self, calls: object) -> bool:
        """Take the tool calls of an answer that came in one piece; tell whether there were any."""
        return self._tool_calls.add(calls)

    def report(self, usage: TokenUsage) -> None:
        """Take a usage report; the last one wins."""
        self._reported = usage
        self._most_input = max(self._most_input, usage.input_tokens)

    def take_text(self) -> str:
        """Return the text that came since the last call."""
        text = "".join(self._unread)
        self._unread.clear()
        return text

    def finished(self) -> ChatFinished:
        """Return the end of the answer.

        Raises:
            ProviderTransientError: The answer broke off (`stream_cut`) or has neither text nor tool
                calls (`empty_answer`); either way it carries what was consumed.
            MalformedAnswerError: A tool call cannot be read.
        """
        if not self.is_ended and self.finish_reason is None:
            raise self.failed("stream_cut")
        tool_calls = self._tool_calls.whole()
        if not self._has_text and not tool_calls:
            raise self.failed("empty_answer")
        usage = self._usage()
        return ChatFinished(
            finish_reason=self.finish_reason or self._implied_reason(usage, tool_calls),
            usage=usage,
            model_answered=self.model_answered or self.call.model,
            provider_request_id=self.request_id,
            tool_calls=tool_calls,
            limits=self.limits,
        )

    def failed(self, code: str) -> ProviderTransientError | ProviderPermanentError:
        """Return the error for a failure that we noticed, with what was consumed before it.

        Of a stream that we end while it goes on, nobody knows how much was on its way.
        """
        goes_on = code == "timeout_total" and self._tokens > 0
        return own_error(
            self.provider, code, self._most() if goes_on else self.consumed(), self.request_id
        )

    def refused(self, *codes: str | None) -> ProviderTransientError | ProviderPermanentError:
        """Return the error for what the provider said in the middle of its answer."""
        refusal = Refusal(self.provider, Operation.CHAT, None, codes, request_id=self.request_id)
        return refusal_error(refusal, self.consumed())

    def left(self) -> None:
        """Tell the call's meter what was consumed, since nobody reads the answer any more.

        Of a stream that has begun, nobody knows how much was on its way.
        """
        if self.call.meter is not None:
            usage = self._most() if self._tokens and not self.is_ended else self.consumed()
            self.call.meter.read(usage, self.request_id)

    def consumed(self) -> TokenUsage:
        """Return what was consumed if the answer goes no further; nothing without a token.

        An answer in one piece that was lost on its way may have had all the tokens it was allowed.
        """
        if self.is_whole and self.has_begun and not self.is_ended:
            return self._most()
        if not self._tokens and not (self._reported and self._reported.output_tokens):
            return NO_USAGE
        usage = self._usage()
        if usage.output_tokens >= self._tokens:
            return usage
        return replace(usage, output_tokens=self._tokens, neurons=None)

    def _most(self) -> TokenUsage:
        input_tokens = self._most_input or assumed_input_tokens(self.call)
        return TokenUsage(
            input_tokens,
            self.call.max_output_tokens,
            service_tier=self.service_tier,
            is_assumed=True,
        )

    def _usage(self) -> TokenUsage:
        reported = self._reported
        if reported and reported.input_tokens >= max(self._most_input, 1):
            return reported
        return TokenUsage(
            self._most_input or assumed_input_tokens(self.call),
            max(self._tokens, reported.output_tokens if reported else 0),
            service_tier=self.service_tier,
        )

    def _implied_reason(self, usage: TokenUsage, tool_calls: Sequence[ToolCall]) -> str:
        """Cloudflare's native shapes end without a reason."""
        if tool_calls:
            return "tool_calls"
        return "length" if usage.output_tokens >= self.call.max_output_tokens else "stop"
