"""What `/readyz` asks: does the broker take messages, does the database answer?"""

from shared.domain.gates import EMBED_BULK
from shared.messaging.worker_process import Connections
from shared.observability.health import Check
from shared.ports.gates import GateRepository


def broker_takes_messages(connections: Connections) -> Check:
    """Return the check that both connections are up and publishing is not blocked by an alarm."""

    async def check() -> bool:
        if not await connections.consume.ping(timeout=1):
            return False
        transport = (await connections.publish.connect()).transport
        if transport is None:
            return False
        # It waits while the broker blocks publishers; the asker loses patience.
        await transport.connection.ready()
        return True

    return check


def database_answers(gates: GateRepository) -> Check:
    """Return the check that a row can be read."""

    async def check() -> bool:
        return bool(await gates.desired([EMBED_BULK]))

    return check
