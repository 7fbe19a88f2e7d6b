"""The inference worker's surroundings, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

from shared.domain.claims import ClaimOutcome, ClaimRequest, Parking, PutOff
from shared.domain.errors import DatabaseUnavailableError
from shared.domain.ids import AttemptId, JobId, QueueName
from shared.domain.outgoing import OutboxRow, OutgoingMessage
from shared.domain.work import SettledJob, Settlement
from shared.messages.events import UsageRecorded
from shared.messages.frames import FRAME, Frame


@dataclass
class RecordingAttempts:
    """Implements `AttemptRepository`: claims end as scripted, all else is written down."""

    script: list[ClaimOutcome] = field(default_factory=list[ClaimOutcome])
    is_away: bool = False
    is_lease_lost: bool = False
    committed_frame: bytes | None = None
    """The last frame, where it says something else than the settlement's."""
    paid_usd: Decimal | None = None
    """What the first settlement's usage event says, where that is less than its list price."""
    claims: list[ClaimRequest] = field(default_factory=list[ClaimRequest])
    settlements: list[Settlement] = field(default_factory=list[Settlement])
    checkpoints: list[tuple[AttemptId, int, str]] = field(
        default_factory=list[tuple[AttemptId, int, str]]
    )
    parked: list[Parking] = field(default_factory=list[Parking])
    put_offs: list[PutOff] = field(default_factory=list[PutOff])
    expired: list[OutgoingMessage] = field(default_factory=list[OutgoingMessage])
    refused: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    extended: list[Sequence[JobId]] = field(default_factory=list[Sequence[JobId]])

    async def claim(self, request: ClaimRequest) -> ClaimOutcome:
        if self.is_away:
            raise DatabaseUnavailableError("the fake is away")
        self.claims.append(request)
        return self.script[len(self.claims) - 1]

    async def settle(self, settlement: Settlement) -> SettledJob:
        self.settlements.append(settlement)
        if self.is_lease_lost:
            return SettledJob(applied=False, outbox=())
        outbox = _rows([self._committed(m.message) for m in settlement.messages])
        frame = self.committed_frame or settlement.terminal_frame
        return SettledJob(applied=True, outbox=outbox, terminal_frame=frame)

    def _committed(self, message: OutgoingMessage) -> OutgoingMessage:
        if self.paid_usd is None or len(self.settlements) > 1:
            return message
        event = UsageRecorded.model_validate_json(message.body)
        paid = event.model_copy(update={"cost_usd": self.paid_usd})
        return replace(message, body=paid.model_dump_json().encode())

    async def park(self, parking: Parking) -> None:
        self.parked.append(parking)

    async def put_off(self, put_off: PutOff) -> SettledJob:
        self.put_offs.append(put_off)
        return SettledJob(applied=True, outbox=_rows([put_off.command.message]))

    async def expire(self, job_id: JobId, frame: OutgoingMessage) -> Sequence[OutboxRow]:
        del job_id
        self.expired.append(frame)
        return _rows([frame])

    async def fail_unstarted(
        self, job_id: JobId, code: str, message: str, frame: OutgoingMessage
    ) -> Sequence[OutboxRow]:
        del job_id
        self.refused.append((code, message))
        return _rows([frame])

    async def extend_leases(self, worker: str, job_ids: Sequence[JobId], lease: timedelta) -> None:
        del worker, lease
        if self.is_away:
            raise DatabaseUnavailableError("the fake is away")
        self.extended.append(job_ids)

    async def checkpoint(
        self, job_id: JobId, attempt_id: AttemptId, number: int, text: str
    ) -> None:
        del job_id
        if self.is_away:
            raise DatabaseUnavailableError("the fake is away")
        self.checkpoints.append((attempt_id, number, text))


@dataclass
class FrameLog:
    """Implements `StreamPublisher`."""

    sent: list[tuple[str, Frame]] = field(default_factory=list[tuple[str, Frame]])

    async def send(self, routing_key: str, body: bytes) -> None:
        self.sent.append((routing_key, FRAME.validate_json(body)))

    @property
    def frames(self) -> list[Frame]:
        return [frame for _, frame in self.sent]


@dataclass
class ScriptedGate:
    """Implements `WorkGate`: open as scripted, then open."""

    script: list[bool] = field(default_factory=list[bool])
    asked: list[QueueName] = field(default_factory=list[QueueName])

    def lets_work_start(self, queue: QueueName) -> bool:
        self.asked.append(queue)
        return self.script.pop(0) if self.script else True


def _rows(messages: Sequence[OutgoingMessage]) -> list[OutboxRow]:
    return [OutboxRow(number, message) for number, message in enumerate(messages, start=1)]
