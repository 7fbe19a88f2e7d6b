"""The inference worker's use case with all its ports in memory."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from services.inference_worker.use_cases.answer_stream import StreamPorts
from services.inference_worker.use_cases.asking import Asking, Route
from services.inference_worker.use_cases.attempt import RunAttempt
from services.inference_worker.use_cases.calling import CallProvider
from services.inference_worker.use_cases.claims import ChatPorts, Claims, Lease
from services.inference_worker.use_cases.complete_chat import CompleteChatJob
from shared.domain.catalog import CLOUDFLARE, OPENAI, Tier
from shared.domain.claims import Claimed, ClaimOutcome
from shared.domain.errors import FailureAction, ProviderFailure, UnknownModelError
from shared.domain.ids import JobId, KeyId, UserId
from shared.domain.jobs import OnInterrupt
from shared.domain.outgoing import OutgoingMessage
from shared.domain.pricing import ModelKind, PriceBook, PriceRow
from shared.domain.rollout import Arm
from shared.domain.routes import Candidate, Routed
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.messages.commands import CompleteChat
from shared.messages.events import UsageRecorded
from tests.support.fake_providers import ChatStep, Says, ScriptedChatModel
from tests.support.fakes_of_admission import ScriptedAdmission
from tests.support.fakes_of_chat import FrameLog, RecordingAttempts, ScriptedGate
from tests.support.fakes_of_time import CountingIds, StillClock
from tests.support.fakes_of_work import RecordingRelay
from tests.support.messaging import ListPublisher

JOB_ID = JobId("job_1")
WORKER = "worker-1"
REQUEST = '{"messages": [{"role": "user", "content": "hello"}], "max_tokens": 50}'
LLAMA = Candidate(CLOUDFLARE, "llama")
LUNA = Candidate(OPENAI, "luna", {"reasoning_effort": "none"})
ARM = Arm("cloudflare:inside")
DOWN = ProviderFailure("3040", "out of capacity", FailureAction.FALL_BACK)
BAD_REQUEST = ProviderFailure("5006", "the request is wrong", FailureAction.FAIL)
PRICES = PriceBook(
    [
        PriceRow(
            provider=CLOUDFLARE,
            model="llama",
            kind=ModelKind.CHAT,
            neurons_per_million_input=Decimal(4119),
            neurons_per_million_output=Decimal(34868),
        ),
        PriceRow(
            provider=OPENAI,
            model="luna",
            kind=ModelKind.CHAT,
            input_usd_per_million=Decimal("0.1"),
            output_usd_per_million=Decimal("0.5"),
        ),
    ]
)


def command(on_interrupt: OnInterrupt = OnInterrupt.RESTART, model: str = "auto") -> CompleteChat:
    """Return the command of a paid user's job."""
    return CompleteChat(
        message_id="msg_1",
        correlation_id=JOB_ID,
        occurred_at=StillClock().now(),
        job_id=JOB_ID,
        user_id=UserId("user-1"),
        key_id=KeyId("key-1"),
        tier=Tier.PAID,
        model=model,
        input_tokens_bound=1000,
        max_output_tokens=50,
        on_interrupt=on_interrupt,
    )


def claim(
    number: int = 1,
    *,
    failures: int = 0,
    cost_usd: Decimal = Decimal(0),
    usage: TokenUsage = NO_USAGE,
) -> Claimed:
    """Return a claim of a job that was accepted two seconds ago."""
    accepted_at = StillClock().now() - timedelta(seconds=2)
    return Claimed(number, REQUEST, cost_usd, usage, failures, accepted_at)


def routed_to_both(job: CompleteChat) -> Routed:
    """Route every job to llama, then to luna, except for models that nobody knows."""
    if job.model == "unknown":
        raise UnknownModelError("model 'unknown' is not offered")
    if job.model == "unpriced":
        return Routed([Candidate(OPENAI, "unpriced")], ARM)
    return Routed([LLAMA] if job.model == "llama" else [LLAMA, LUNA], ARM)


@dataclass
class ChatWorld:
    """A worker and what it did."""

    claims: list[ClaimOutcome] = field(default_factory=lambda: [claim(1), claim(2, failures=1)])
    llama: ChatStep = field(default_factory=Says)
    luna: ChatStep = field(default_factory=Says)
    gate: ScriptedGate = field(default_factory=ScriptedGate)
    prices: PriceBook = PRICES
    route: Route = routed_to_both
    admission: ScriptedAdmission = field(default_factory=ScriptedAdmission)

    def __post_init__(self) -> None:
        self.clock, self.ids = StillClock(), CountingIds()
        self.attempts = RecordingAttempts(self.claims)
        self.frames, self.relay, self.publisher = FrameLog(), RecordingRelay(), ListPublisher()
        self.models = {
            CLOUDFLARE: ScriptedChatModel([self.llama], CLOUDFLARE),
            OPENAI: ScriptedChatModel([self.luna], OPENAI),
        }
        ports = ChatPorts(
            self.attempts, self.relay, self.publisher, self.gate, self.clock, self.ids
        )
        self.complete_chat = CompleteChatJob(
            Asking(self.route, self.prices, self.admission, self.clock),
            Claims(ports, Lease(WORKER, timedelta(seconds=30))),
            RunAttempt(
                StreamPorts(self.frames, self.attempts, self.clock),
                CallProvider(self.models),
                self.admission,
                self.relay,
                WORKER,
            ),
        )

    @property
    def calls(self) -> list[str]:
        """The models that were called, provider by provider."""
        return [call.model for model in self.models.values() for call in model.calls]

    @property
    def usage(self) -> list[UsageRecorded]:
        """The usage events that were committed."""
        return [UsageRecorded.model_validate_json(m.body) for m in self.sent_to("events")]

    def sent_to(self, exchange: str) -> list[OutgoingMessage]:
        """What was handed to the relay for an exchange."""
        return [row.message for row in self.relay.rows if row.message.exchange == exchange]
