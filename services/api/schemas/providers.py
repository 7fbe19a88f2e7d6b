"""Providers and the life of their models, as ops see them."""

from datetime import date, datetime

from pydantic import BaseModel


class ModelView(BaseModel):
    """A routed model.

    Attributes:
        state: `listed`, `retiring` (within 30 days), `retired`, `missing` from its provider's
            list, or `unknown` while that list has never been read.
        retires_on: The UTC day on which it no longer answers.
        successor: Who takes over then, as `provider/model`.
        checked_at: When its provider's list was last read.
    """

    model: str
    state: str
    retires_on: date | None
    successor: str | None
    checked_at: datetime | None


class CircuitView(BaseModel):
    """A circuit that is not closed.

    Attributes:
        model: Whose calls it concerns; `*` for all of the provider's.
        circuit: The class of errors: `failing`, `rate`, `quota`, `money`, `access` or `retired`.
        state: `open`, `half_open` (one call tries), or `recovering` (calls return step by step).
        until: When calls may return.
        openings: How often it has opened without having closed.
        code: The error that opened it.
    """

    model: str
    circuit: str
    state: str
    opened_at: datetime
    until: datetime
    openings: int
    code: str
    detail: str


class ProviderView(BaseModel):
    """A provider that routes lead to.

    Attributes:
        circuits: Those that are not closed: its models are let alone.
        list_checked_at: When its list of models was last read.
        list_error: Why that failed since; the models' states are then those of the last reading.
    """

    provider: str
    models: list[ModelView]
    list_checked_at: datetime | None
    list_error: str | None
    circuits: list[CircuitView]


class ProviderList(BaseModel):
    """Every provider that routes lead to."""

    data: list[ProviderView]


class ModelCheckView(BaseModel):
    """A check of all models; `finished_at` is null until its results are there."""

    id: int
    requested_at: datetime
    finished_at: datetime | None
