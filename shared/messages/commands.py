"""Commands: what a worker is asked to do; the prompt stays in the database."""

from datetime import datetime
from typing import Literal

from shared.domain.catalog import Tier
from shared.domain.ids import JobId, KeyId, UserId
from shared.domain.jobs import JobKind, OnInterrupt
from shared.messages.envelope import Envelope


class CompleteChat(Envelope):
    """Answer one chat job. Safe to deliver twice: the claim is decided by the job's state."""

    kind: Literal["complete_chat.v1"] = "complete_chat.v1"
    job_id: JobId
    user_id: UserId
    key_id: KeyId
    tier: Tier
    model: str
    input_tokens_bound: int
    max_output_tokens: int
    on_interrupt: OnInterrupt = OnInterrupt.RESTART
    deadline: datetime | None = None


class EmbedTexts(Envelope):
    """Embed the texts of one job. Safe to deliver twice: texts already embedded are skipped."""

    kind: Literal["embed_texts.v1"] = "embed_texts.v1"
    job_id: JobId
    user_id: UserId
    key_id: KeyId
    tier: Tier
    job_kind: JobKind
    model: str
    deadline: datetime | None = None
