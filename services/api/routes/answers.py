"""Answers as JSON, and how request bodies are documented.

Bodies are serialised once, by pydantic; FastAPI's own response validation would do it twice.
"""

from fastapi import Response
from pydantic import BaseModel, JsonValue

_JSON = "application/json"


def answer(body: BaseModel, status: int = 200) -> Response:
    """Return a body as an answer."""
    return Response(body.model_dump_json(), status, media_type=_JSON)


def raw_answer(body: bytes, status: int = 200) -> Response:
    """Return JSON that is ready as an answer."""
    return Response(body, status, media_type=_JSON)


def body_of(schema: type[BaseModel], *, required: bool = True) -> dict[str, JsonValue]:
    """Return the OpenAPI description of a request body that a route reads by hand."""
    reference: JsonValue = {"$ref": f"#/components/schemas/{schema.__name__}"}
    return {"requestBody": {"required": required, "content": {_JSON: {"schema": reference}}}}
