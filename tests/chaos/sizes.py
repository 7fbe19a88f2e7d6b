"""How large an attack is: small in every run, large with SLUICEWAY_CHAOS=full."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class ChaosChoice(BaseSettings):
    """What `make chaos` sets."""

    size: Literal["small", "full"] = Field(default="small", alias="SLUICEWAY_CHAOS")
    seed: int = Field(default=7, alias="SLUICEWAY_CHAOS_SEED")
