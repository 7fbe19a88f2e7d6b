import pytest

from simulator.connection import reset_connection


@pytest.mark.parametrize("scope", [{}, {"state": {}}])
def test_another_server_gives_no_way_to_reset(scope: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="no way to reset"):
        reset_connection(scope)
