"""Shows providers and their models to ops, and lets workers look at the models now."""

from collections.abc import Sequence

from services.api.schemas.providers import (
    CircuitView,
    ModelCheckView,
    ModelView,
    ProviderList,
    ProviderView,
)
from services.api.use_cases.refusals import not_found
from shared.domain.access import Caller
from shared.domain.catalog import Provider
from shared.domain.circuits import Circuit, CircuitState
from shared.domain.model_states import (
    ModelKey,
    ModelState,
    ModelStatus,
    routed_models,
    successor_of,
)
from shared.domain.routing import RoutingTable, providers_of
from shared.ports.circuits import CircuitRepository
from shared.ports.clock import Clock
from shared.ports.messaging import ControlHint
from shared.ports.models import ModelCheck, ModelOverview


class AdminProviders:
    """Providers; workers check their models, because the API calls no provider."""

    def __init__(
        self,
        models: ModelOverview,
        circuits: CircuitRepository,
        hint: ControlHint,
        routing: RoutingTable,
        clock: Clock,
    ) -> None:
        self._models = models
        self._circuits = circuits
        self._hint = hint
        self._routing = routing
        self._clock = clock

    async def all(self) -> ProviderList:
        """Return every routed provider with its routed models, as the last checks found them."""
        status_by_model = {status.key: status for status in await self._models.known()}
        list_by_provider = {one.provider: one for one in await self._models.lists()}
        circuits = await self._circuits.not_closed()
        data: list[ProviderView] = []
        for provider in sorted(providers_of(self._routing)):
            keys = [key for key in routed_models(self._routing) if key[0] == provider]
            listed = list_by_provider.get(provider)
            view = ProviderView(
                provider=provider,
                models=[self._model(key, status_by_model.get(key)) for key in keys],
                list_checked_at=None if listed is None else listed.read_at,
                list_error=None if listed is None else listed.error,
                circuits=self._views(provider, circuits),
            )
            data.append(view)
        return ProviderList(data=data)

    async def reset(self, caller: Caller, name: str) -> None:
        """Close a provider's circuits: workers call it again within a second.

        Raises:
            RefusedError: No route leads to such a provider.
        """
        provider = Provider(name)
        if provider not in providers_of(self._routing):
            raise not_found("provider", name)
        await self._circuits.reset(provider, caller.key_id)
        await self._hint.send()

    async def demand_check(self, caller: Caller) -> ModelCheckView:
        """Ask workers for a check; idempotent until one has begun."""
        check = await self._models.demand(caller.key_id, self._clock.now())
        await self._hint.send()
        return _check_view(check)

    async def check(self, check_id: int) -> ModelCheckView:
        """Return a check.

        Raises:
            RefusedError: There is none.
        """
        check = await self._models.check(check_id)
        if check is None:
            raise not_found("check", str(check_id))
        return _check_view(check)

    def _views(self, provider: Provider, circuits: Sequence[Circuit]) -> list[CircuitView]:
        now = self._clock.now()
        states = [(c, c.state_at(now)) for c in circuits if c.key.provider == provider]
        return [_circuit_view(*one) for one in states if one[1] is not CircuitState.CLOSED]

    def _model(self, key: ModelKey, status: ModelStatus | None) -> ModelView:
        successor = successor_of(self._routing, key)
        return ModelView(
            model=key[1],
            state=ModelState.UNKNOWN if status is None else status.state,
            retires_on=None if status is None else status.retires_on,
            successor=None if successor is None else str(successor),
            checked_at=None if status is None else status.checked_at,
        )


def _circuit_view(circuit: Circuit, state: CircuitState) -> CircuitView:
    return CircuitView(
        model=circuit.key.model,
        circuit=circuit.key.circuit,
        state=state,
        opened_at=circuit.opened_at,
        until=circuit.open_until,
        openings=circuit.openings,
        code=circuit.code,
        detail=circuit.message,
    )


def _check_view(check: ModelCheck) -> ModelCheckView:
    return ModelCheckView(
        id=check.id, requested_at=check.requested_at, finished_at=check.finished_at
    )
