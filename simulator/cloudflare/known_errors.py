"""Every error that Workers AI, Cloudflare's API, its AI gateway and its edge answer with.

Documented codes and statuses are those of Cloudflare's errors page (2026-10); the others were
captured or reported in 2026. Each part of Cloudflare has an envelope of its own.
"""

from dataclasses import dataclass
from enum import StrEnum

from simulator.json_values import JsonObject
from simulator.refusal import RefusalError


class Origin(StrEnum):
    """Who answers."""

    WORKERS_AI = "workers_ai"
    API = "cloudflare_api"
    GATEWAY = "ai_gateway"
    EDGE = "edge"


@dataclass(frozen=True, slots=True)
class KnownError:
    """An error, as it is worded."""

    code: int
    status: int
    message: str
    origin: Origin = Origin.WORKERS_AI

    def refusal(self) -> RefusalError:
        """Return it as an answer."""
        match self.origin:
            case Origin.EDGE:
                return RefusalError(self.status, f"error code: {self.code}".encode())
            case Origin.GATEWAY:
                return RefusalError(self.status, self._of_the_gateway())
            case Origin.API:
                # Key order as captured: the API's own errors begin with a null result.
                failed: JsonObject = {"result": None, "success": False}
                error: JsonObject = {"code": self.code, "message": self.message}
                return RefusalError(self.status, failed | {"errors": [error], "messages": []})
            case Origin.WORKERS_AI:
                rest: JsonObject = {"success": False, "result": {}, "messages": []}
                return RefusalError(self.status, self.in_stream() | rest)

    def in_stream(self) -> JsonObject:
        """Return it as an event of a stream that has begun."""
        return {"errors": [{"message": self.message, "code": self.code}]}

    def _of_the_gateway(self) -> JsonObject:
        return {
            "success": False,
            "result": [],
            "messages": [],
            "error": [{"code": self.code, "message": self.message}],
            "name": "AiGatewayError",
            "httpCode": self.status,
            "internalCode": self.code,
        }


_USED_UP = "you have used up your daily free allocation of 10,000 neurons"
_NO_ROUTE = "Could not route to that path, perhaps your object identifier is invalid?"
_NESTED = (
    'AiError: AiError: {"object":"error","message":"The request was flagged",'
    '"type":"BadRequestError","code":400}'
)

_DOCUMENTED = (
    KnownError(3003, 400, "AiError: Incomplete request: missing headers or body"),
    KnownError(3006, 413, "AiError: Request is too large"),
    KnownError(3007, 408, "AiError: Timeout"),
    KnownError(3008, 408, "AiError: Aborted"),
    KnownError(3023, 403, "AiError: Account is blocked from Workers AI"),
    KnownError(3036, 429, _USED_UP),
    KnownError(3039, 400, "AiError: Finetune is missing required files"),
    KnownError(3040, 429, "Capacity temporarily exceeded, please try again."),
    KnownError(3041, 403, "AiError: Account is not allowed to access this private model"),
    KnownError(3042, 404, "AiError: Invalid model ID"),
    KnownError(5004, 400, "AiError: Invalid data: not base64"),
    KnownError(5005, 405, "AiError: LoRA is not supported by this model"),
    KnownError(5007, 400, "AiError: No such model or task"),
    KnownError(5016, 403, "AiError: Model terms not agreed: submit the prompt 'agree' once"),
    KnownError(5018, 403, "AiError: Account is not allowed to use this model"),
    KnownError(5019, 405, "AiError: This version of the SDK is deprecated"),
    KnownError(5035, 403, "AiError: This model requires the Workers Paid plan"),
)
_UNDOCUMENTED = (
    KnownError(
        3021,
        429,
        "AiError: AiError: rate limiting: inference request per min rate reached (0a1b2c3d)",
    ),
    KnownError(
        3030, 400, "AiError: Max context reached 82800 tokens but model supports only 60000"
    ),
    KnownError(4006, 429, _USED_UP),
    KnownError(5006, 400, "AiError: JSON Mode couldn't be met"),
    KnownError(
        5021,
        413,
        "AiError: Ai: The estimated number of input and maximum output tokens (24690) "
        "exceeded this model context window limit (24000).",
    ),
    KnownError(5025, 400, "AiError: This model doesn't support JSON Schema."),
    KnownError(
        5028, 410, "AiError: Model has been deprecated: @cf/... was deprecated on 2026-05-30"
    ),
    KnownError(8001, 400, "AiError: Invalid input"),
    KnownError(8007, 400, _NESTED),
)
_AROUND = (
    KnownError(10000, 401, "Authentication error", Origin.API),
    KnownError(7003, 404, _NO_ROUTE, Origin.API),
    KnownError(2003, 429, "Rate limit exceeded: rule 'requests'", Origin.GATEWAY),
    KnownError(2045, 429, "Spend limit exceeded: rule 'spend'", Origin.GATEWAY),
    KnownError(2021, 402, "Insufficient credits", Origin.GATEWAY),
    *(
        KnownError(status, status, f"error code: {status}", Origin.EDGE)
        for status in (500, 502, 503, 504, 520, 521, 522, 524)
    ),
)

# A token without the permission is refused with the same code and another status.
_WITHOUT_PERMISSION = KnownError(10000, 403, "Authentication error", Origin.API)

KNOWN_ERRORS = {
    **{str(error.code): error for error in (*_DOCUMENTED, *_UNDOCUMENTED, *_AROUND)},
    "403/10000": _WITHOUT_PERMISSION,
}
