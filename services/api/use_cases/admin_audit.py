"""The audit trail for ops."""

from services.api.schemas.gates import AuditPage, audit_page
from shared.ports.gates import AuditTrail


class AdminAudit:
    """Reads only."""

    def __init__(self, trail: AuditTrail) -> None:
        self._trail = trail

    async def page(self, after: int, limit: int) -> AuditPage:
        """Return changes of gates, budgets and rollouts, oldest first."""
        return audit_page(await self._trail.page(after, limit + 1), limit)
