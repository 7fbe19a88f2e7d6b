"""Adds what FastAPI cannot see to the OpenAPI document: the bodies that routes read by hand."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.api.schemas.chat import ChatJobBody
from services.api.schemas.openai import ChatCompletionBody, EmbeddingsBody
from services.api.schemas.requests import (
    BudgetBody,
    CollectionBody,
    DocumentsBody,
    EmbeddingsJobBody,
    GateBody,
    KeyBody,
    RolloutBody,
    ScopeGateBody,
    SearchBody,
)

_BODIES: tuple[type[BaseModel], ...] = (
    BudgetBody,
    ChatCompletionBody,
    ChatJobBody,
    CollectionBody,
    DocumentsBody,
    EmbeddingsBody,
    EmbeddingsJobBody,
    GateBody,
    RolloutBody,
    ScopeGateBody,
    KeyBody,
    SearchBody,
)


class DocumentedApp(FastAPI):
    """A FastAPI whose OpenAPI document is complete."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, built when first asked for."""
        if self.openapi_schema is None:
            document = super().openapi()
            _, definitions = models_json_schema(
                [(body, "validation") for body in _BODIES],
                ref_template="#/components/schemas/{model}",
            )
            document["components"]["schemas"].update(definitions["$defs"])
        return super().openapi()
