import pytest

from cli.option_order import hoist


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["jobs", "list", "--json"], ["--json", "jobs", "list"]),
        (
            ["jobs", "list", "--key", "k", "--limit", "3"],
            ["--key", "k", "jobs", "list", "--limit", "3"],
        ),
        (["up", "--home=x"], ["--home=x", "up"]),
        (["chat", "--", "--json"], ["chat", "--", "--json"]),
        (["up", "--home"], ["--home", "up"]),
    ],
)
def test_common_options_may_stand_anywhere(typed: list[str], read: list[str]) -> None:
    assert hoist(typed) == read
