"""One metadata with predictable constraint names, and the column shapes that tables share."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Column, DateTime, MetaData, Numeric, Text, text

METADATA = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)
NOW = text("now()")


def usd(name: str) -> Column[Decimal]:
    """Return an exact amount of US dollars, never null, 0 by default."""
    return Column(name, Numeric, nullable=False, server_default=text("0"))


def required_text(name: str) -> Column[str]:
    """Return a text that is never null."""
    return Column(name, Text, nullable=False)


def moment(name: str, *, nullable: bool = False) -> Column[datetime]:
    """Return a point in time with its zone."""
    return Column(name, DateTime(timezone=True), nullable=nullable)
