"""API keys, for admins."""

from fastapi import APIRouter, Depends, Request, Response

from services.api.dependencies import BearerKey, BodyReader
from services.api.routes.answers import answer, body_of
from services.api.routes.parameters import KeyIdPath
from services.api.schemas.admin import IssuedKey, KeyList, key_view
from services.api.schemas.requests import KeyBody
from services.api.use_cases.admin_keys import AdminKeys
from shared.domain.ids import KeyId


def create_router(*, keys: AdminKeys, key: BearerKey, bodies: BodyReader) -> APIRouter:
    """Return the routes over keys."""
    router = APIRouter(prefix="/v1/admin/keys", tags=["admin"], dependencies=[Depends(key)])

    @router.post("", status_code=201, response_model=IssuedKey, openapi_extra=body_of(KeyBody))
    async def issue_key(request: Request) -> Response:
        """Issue a key; its secret is shown only here."""
        return answer(await keys.issue(await bodies.read(request, KeyBody)), 201)

    @router.get("", response_model=KeyList)
    async def list_keys() -> Response:
        """List the keys that work."""
        return answer(KeyList(data=[key_view(one) for one in await keys.all()]))

    @router.delete("/{key_id}", status_code=204)
    async def revoke_key(key_id: KeyIdPath) -> None:
        """Make a key useless within a second."""
        await keys.revoke(KeyId(key_id))

    return router
