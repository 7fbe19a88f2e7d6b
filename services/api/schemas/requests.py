"""Request bodies: strict JSON, unknown fields refused, every bound stated here.

Invariant: what passes can be stored. PostgreSQL refuses the NUL character, so it is refused here,
with the field's name.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
)

from services.api.settings import (
    MAX_DOCUMENTS,
    MAX_INPUTS,
    MAX_TEXT_BYTES,
)
from shared.domain.budgets import ThresholdAction, Window
from shared.domain.catalog import Tier
from shared.domain.collections import OnFallback

_NUL = "\x00"


def without_nul(text: str) -> str:
    """Return a text that PostgreSQL can store.

    Raises:
        ValueError: It cannot.
    """
    if _NUL in text:
        raise ValueError("must not contain the NUL character")
    return text


def _within_text_bytes(text: str) -> str:
    # A character has at most four bytes, so that most texts need no encoding to be let through.
    if len(text) * 4 > MAX_TEXT_BYTES and len(text.encode()) > MAX_TEXT_BYTES:
        raise ValueError(f"must not exceed {MAX_TEXT_BYTES} bytes; cut it into chunks")
    return text


def storable(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a JSON object whose texts and names PostgreSQL can store.

    Raises:
        ValueError: It cannot.
    """
    pending: list[JsonValue] = [value]
    while pending:
        match pending.pop():
            case str() as text:
                without_nul(text)
            case dict() as entries:
                pending.extend(entries)
                pending.extend(entries.values())
            case list() as items:
                pending.extend(items)
            case _:
                pass
    return value


Text = Annotated[str, Field(min_length=1), AfterValidator(without_nul)]
EmbeddableText = Annotated[Text, AfterValidator(_within_text_bytes)]
Name = Annotated[Text, Field(max_length=256)]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(storable)]
UserName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$")]
Usd = Annotated[
    Decimal, Field(ge=0, le=1_000_000_000, decimal_places=12, allow_inf_nan=False)
]
WorkQueue = Literal["chat.free", "chat.paid", "chat.premium", "embed.interactive", "embed.bulk"]


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class EmbeddingsJobBody(Body):
    """Texts to embed; the vectors are the job's result."""

    input: list[EmbeddableText] = Field(min_length=1, max_length=MAX_INPUTS)
    model: Name = "auto"
    deadline: AwareDatetime | None = None
    metadata: Metadata | None = None


class CollectionBody(Body):
    """How a collection embeds its documents."""

    embedding: Name = "auto"
    on_fallback: OnFallback = OnFallback.WAIT


class DocumentBody(Body):
    """One document; a known id replaces that document's text."""

    id: Name | None = None
    text: EmbeddableText
    metadata: Metadata | None = None


class DocumentsBody(Body):
    """Documents to embed into a collection."""

    documents: list[DocumentBody] = Field(min_length=1, max_length=MAX_DOCUMENTS)


class SearchBody(Body):
    """What to look for."""

    query: EmbeddableText
    k: int = Field(10, ge=1, le=100)


class LimitsBody(Body):
    """Request limits of a key; null for none."""

    requests_per_minute: int | None = Field(None, ge=1)
    requests_per_day: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1)


class KeyBody(Body):
    """A key to issue."""

    user_id: UserName
    tier: Tier
    scopes: list[Literal["jobs", "admin"]] = Field(default=["jobs"], min_length=1, max_length=2)
    expires_at: AwareDatetime | None = None
    limits: LimitsBody | None = None


Reason = Annotated[str, Field(max_length=1_000), AfterValidator(without_nul)]


class GateBody(Body):
    """Why a gate moves, and until when."""

    reason: Reason = ""
    until: AwareDatetime | None = None
    concurrency: int | None = Field(None, ge=1, le=1_000)


class ScopeGateBody(GateBody):
    """Why a scope's gates move; without `queues`, all of them."""

    queues: list[WorkQueue] | None = Field(None, min_length=1)


class ThresholdBody(Body):
    """What happens once spending reaches an amount; without `queues`, to all of them."""

    at_usd: Usd
    action: ThresholdAction
    queues: list[WorkQueue] | None = None
    concurrency: int = Field(1, ge=1, le=1_000)


class BudgetBody(Body):
    """A budget that replaces the scope's present one of its window."""

    window: Window
    limit_usd: Usd | None = None
    thresholds: list[ThresholdBody] = Field(default=[], max_length=50)
    reason: Reason = ""


class RolloutBody(Body):
    """How many of all users are inside a rollout, in steps of a hundredth of a percent."""

    percent: Decimal = Field(ge=0, le=100, decimal_places=2, allow_inf_nan=False)
    reason: Reason = ""
