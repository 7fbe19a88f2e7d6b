"""The ASGI application: both providers' paths, and the simulator's own, which begin with `_`.

Invariant: its own paths never fail by a fault that was switched on.
"""

from collections.abc import Callable

from simulator.behaviour import PROVIDERS, InvalidControlError
from simulator.cloudflare import routes as cloudflare_routes
from simulator.cloudflare.routes import answer_cloudflare
from simulator.connection import Scope
from simulator.exchange import Exchange, Receive, Send, read_exchange
from simulator.json_values import JsonObject, decode_object
from simulator.openai_api import routes as openai_routes
from simulator.openai_api.routes import answer_openai
from simulator.simulation import Simulation


class App:
    """Dispatches each request by its path."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        bill, controls = simulation.bill, simulation.controls
        self._own: dict[tuple[str, str], Callable[[], JsonObject]] = {
            ("GET", "/healthz"): lambda: {"status": "ok"},
            ("GET", "/_bill"): bill.to_json,
            ("GET", "/_bill/total"): bill.total_to_json,
            ("DELETE", "/_bill"): bill.empty,
            ("GET", "/_control"): controls.to_json,
            ("DELETE", "/_control"): simulation.restore,
            ("DELETE", "/_requests"): simulation.forget_requests,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        exchange = await read_exchange(scope, receive, send)
        if exchange.path.startswith(cloudflare_routes.PREFIX):
            await answer_cloudflare(exchange, self._simulation)
        elif exchange.path.startswith(openai_routes.PREFIX):
            await answer_openai(exchange, self._simulation)
        elif (exchange.method, exchange.path) == ("PUT", "/_control"):
            await self._change_control(exchange)
        elif (exchange.method, exchange.path) == ("GET", "/_requests"):
            await self._show_requests(exchange)
        elif answer := self._own.get((exchange.method, exchange.path)):
            await exchange.answer_json(200, answer())
        else:
            message = f"no such path: {exchange.method} {exchange.path}"
            await exchange.answer_json(404, _error(message))

    async def _show_requests(self, exchange: Exchange) -> None:
        provider, model = exchange.query.get("provider"), exchange.query.get("model")
        if provider not in {None, *PROVIDERS}:
            await exchange.answer_json(422, _error(f"no such provider: {provider}"))
            return
        log = self._simulation.requests
        await exchange.answer_json(200, log.to_json(provider, model, self._simulation.now()))

    async def _change_control(self, exchange: Exchange) -> None:
        controls = self._simulation.controls
        try:
            controls.merge(decode_object(exchange.body))
        except InvalidControlError as error:
            await exchange.answer_json(422, _error(str(error)))
        else:
            await exchange.answer_json(200, controls.to_json())


def _error(message: str) -> JsonObject:
    details = {"message": message, "type": "invalid_request_error", "code": None, "param": None}
    return {"error": details}
