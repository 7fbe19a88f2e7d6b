"""The one shape of every error."""

from pydantic import BaseModel


class ProblemDetail(BaseModel):
    """What went wrong; `param` is the dotted path of the field, `messages.0.content`."""

    message: str
    type: str
    code: str
    param: str | None = None


class Problem(BaseModel):
    """An error answer."""

    error: ProblemDetail
