"""Path and query parameters with the bounds that the database relies on."""

from typing import Annotated

from fastapi import Path, Query

_ID = r"^[A-Za-z0-9_-]{1,64}$"
NO_NUL = r"^[^\x00]*$"

JobIdPath = Annotated[str, Path(pattern=_ID)]
KeyIdPath = Annotated[str, Path(pattern=_ID)]
IngestionIdPath = Annotated[str, Path(pattern=_ID)]
CollectionName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
QueuePath = Annotated[str, Path(pattern=r"^[a-z.]{1,64}$")]
BudgetScopePath = Annotated[str, Path(pattern=r"^[\x21-\x7e]{1,200}$")]
NamePath = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
After = Annotated[str | None, Query(pattern=_ID)]
AfterNumber = Annotated[int, Query(ge=0, le=2**63 - 1)]
Limit = Annotated[int, Query(ge=1, le=1000)]
