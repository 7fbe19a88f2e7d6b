"""The closed sets that name who asks, what is asked and who answers."""

import re
from enum import StrEnum
from typing import NewType


class Tier(StrEnum):
    """What a user pays for; decides queue and route."""

    FREE = "free"
    PAID = "paid"
    PREMIUM = "premium"


Provider = NewType("Provider", str)
"""Whose API answered: one of the two below, or a compatible server that the routing table names."""
CLOUDFLARE = Provider("cloudflare")
OPENAI = Provider("openai")
PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
"""How a provider is written."""


class Operation(StrEnum):
    """What a job asks of a provider."""

    CHAT = "chat"
    EMBED = "embed"


class ServiceTier(StrEnum):
    """How a provider served a call; some bill each way at its own price.

    The names are those of OpenAI's `service_tier`; `fast` is also called `priority` there, and
    `batch` is its Batch API.
    """

    DEFAULT = "default"
    FLEX = "flex"
    FAST = "fast"
    BATCH = "batch"
