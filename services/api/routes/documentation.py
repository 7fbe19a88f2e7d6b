"""Adds what FastAPI cannot see to the OpenAPI document: the bodies that routes read by hand."""

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.api.schemas.requests import (
    BudgetBody,
    ChatJobBody,
    CollectionBody,
    DocumentsBody,
    EmbeddingsJobBody,
    GateBody,
    KeyBody,
    SearchBody,
)

_BODIES: tuple[type[BaseModel], ...] = (
    BudgetBody,
    ChatJobBody,
    CollectionBody,
    DocumentsBody,
    EmbeddingsJobBody,
    GateBody,
    KeyBody,
    SearchBody,
)


def document_bodies(app: FastAPI) -> None:
    """Make the app's OpenAPI document complete; it is built once, now."""
    document = app.openapi()
    _, definitions = models_json_schema(
        [(body, "validation") for body in _BODIES], ref_template="#/components/schemas/{model}"
    )
    document["components"]["schemas"].update(definitions["$defs"])
