"""An embedding worker with one job, and everything around it in memory."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from services.embedding_worker.use_cases.attempt import BatchAttempt
from services.embedding_worker.use_cases.embed_texts import EmbedJob
from services.embedding_worker.use_cases.ports import Identity, Ports
from shared.domain.catalog import CLOUDFLARE, OPENAI, Tier
from shared.domain.collections import EmbeddingWork, OnFallback, PendingText
from shared.domain.embedding_space import BGE_M3, TEXT_EMBEDDING_3_SMALL
from shared.domain.errors import (
    UnknownModelError,
    UnknownPriceError,
)
from shared.domain.gates import EMBED_BULK, EMBED_INTERACTIVE
from shared.domain.ids import KeyId, SpaceId, UserId
from shared.domain.jobs import JobKind
from shared.domain.pricing import DailyAllowance, ModelKind, PriceRow
from shared.domain.rollout import Arm
from shared.domain.routes import Candidate, Routed
from shared.messages.commands import EmbedTexts
from tests.support.fake_providers import ScriptedEmbeddingModel
from tests.support.fakes_of_admission import ScriptedAdmission
from tests.support.fakes_of_chat import FrameLog
from tests.support.fakes_of_embedding import (
    JOB,
    MemoryEmbeddings,
    RecordingBroker,
    ScriptedAttempts,
    SteppingGate,
)
from tests.support.fakes_of_time import CountingIds, StillClock

ARM = Arm("cloudflare:outside")


@dataclass
class FixedRoute:
    """Implements `Route` with both providers, unless told otherwise."""

    known: bool = True
    priced: bool = True
    allowance: DailyAllowance | None = None
    rises: bool = False
    asked: int = 0

    def candidates(self, command: EmbedTexts) -> Routed:
        """Return both providers' models."""
        if not self.known:
            raise UnknownModelError(f"no model {command.model}")
        spaces = (BGE_M3, TEXT_EMBEDDING_3_SMALL)
        return Routed([Candidate(space.provider, space.model) for space in spaces], ARM)

    def price(self, candidate: Candidate) -> PriceRow:
        """Return a dollar per million tokens, or more each time one asks."""
        self.asked += self.rises
        if not self.priced:
            raise UnknownPriceError(f"no price for {candidate}")
        return PriceRow(
            provider=candidate.provider,
            model=candidate.model,
            kind=ModelKind.EMBEDDING,
            input_usd_per_million=Decimal(max(1, self.asked)),
            output_usd_per_million=Decimal(0),
            neurons_per_million_input=None if self.allowance is None else Decimal(1_000_000),
            neurons_per_million_output=None if self.allowance is None else Decimal(0),
            allowance=self.allowance,
        )


@dataclass
class EmbeddingWorld:
    """A worker with one job, everything around it in memory."""

    embeddings: MemoryEmbeddings = field(default_factory=MemoryEmbeddings)
    attempts: ScriptedAttempts = field(default_factory=ScriptedAttempts)
    cloudflare: ScriptedEmbeddingModel = field(default_factory=ScriptedEmbeddingModel)
    openai: ScriptedEmbeddingModel = field(default_factory=ScriptedEmbeddingModel)
    gate: SteppingGate = field(default_factory=SteppingGate)
    broker: RecordingBroker = field(default_factory=RecordingBroker)
    frames: FrameLog = field(default_factory=FrameLog)
    route: FixedRoute = field(default_factory=FixedRoute)
    clock: StillClock = field(default_factory=StillClock)
    admission: ScriptedAdmission = field(default_factory=ScriptedAdmission)

    def has(
        self,
        texts: int,
        space_id: SpaceId | None = None,
        on_fallback: OnFallback = OnFallback.WAIT,
    ) -> None:
        """Give the job texts to embed."""
        pending = [PendingText(position, f"text {position}", 3) for position in range(texts)]
        self.embeddings.work = EmbeddingWork(pending, texts, space_id, on_fallback)

    async def embed(self, kind: JobKind = JobKind.EMBED) -> None:
        """Deliver the command."""
        ports = Ports(
            attempts=self.attempts,
            embeddings=self.embeddings,
            models={CLOUDFLARE: self.cloudflare, OPENAI: self.openai},
            committed=self.broker,
            publisher=self.broker,
            frames=self.frames,
            gate=self.gate,
            admission=self.admission,
            clock=self.clock,
            ids=CountingIds(),
        )
        attempt = BatchAttempt(ports, Identity("worker-1", timedelta(seconds=30)))
        queue = EMBED_BULK if kind is JobKind.INGEST else EMBED_INTERACTIVE
        await EmbedJob(ports, self.route, attempt)(self.command(kind), queue)

    def command(self, kind: JobKind) -> EmbedTexts:
        """Return the command."""
        return EmbedTexts(
            message_id="start",
            correlation_id=JOB,
            occurred_at=self.clock.now(),
            job_id=JOB,
            user_id=UserId("user"),
            key_id=KeyId("key"),
            tier=Tier.PAID,
            job_kind=kind,
            model="auto",
        )

    @property
    def steps(self) -> list[type]:
        """What each settlement did to the job."""
        return [type(one.settlement.step) for one in self.embeddings.settled]
