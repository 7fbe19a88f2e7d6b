from tests.integration.services.inference_worker.conftest import (
    engine,
    providers,
    proxy,
    running,
    simulator,
)

__all__ = ["engine", "providers", "proxy", "running", "simulator"]
