"""The tables, by concern; `METADATA` is what migrations are compared with."""

from shared.persistence.models import access, embeddings, gates, money, reconciliation, work
from shared.persistence.models.metadata import METADATA

__all__ = ["METADATA", "access", "embeddings", "gates", "money", "reconciliation", "work"]
