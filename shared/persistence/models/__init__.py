"""The tables, by concern; `METADATA` is what migrations are compared with."""

from shared.persistence.models import (
    access,
    alerts,
    circuits,
    embeddings,
    gates,
    lifecycle,
    money,
    parking,
    reconciliation,
    rollouts,
    work,
)
from shared.persistence.models.metadata import METADATA

__all__ = [
    "METADATA",
    "access",
    "alerts",
    "circuits",
    "embeddings",
    "gates",
    "lifecycle",
    "money",
    "parking",
    "reconciliation",
    "rollouts",
    "work",
]
