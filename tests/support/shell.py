"""The `sluiceway` command before an API over fakes."""

import json
from dataclasses import dataclass

from pydantic import JsonValue
from typer.testing import CliRunner, Result

from cli.application import app
from cli.option_order import hoist
from tests.support.api_bench import ADMIN_KEY, ApiBench


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs commands as an administrator."""

    bench: ApiBench
    url: str

    def run(self, *words: str) -> Result:
        """Run a command line; options of every command may stand anywhere."""
        line = hoist(["--url", self.url, "--key", ADMIN_KEY, *words])
        return CliRunner().invoke(app, line)

    def lines(self, *words: str) -> list[list[str]]:
        """Return what a command that succeeds prints, in words."""
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return [line.split() for line in result.stdout.splitlines()]

    def json(self, *words: str) -> JsonValue:
        """Return what a command that succeeds prints as JSON."""
        result = self.run(*words, "--json")
        assert result.exit_code == 0, result.output
        printed: JsonValue = json.loads(result.stdout)
        return printed

    def refusal(self, *words: str) -> str:
        """Return the one line that a command which fails prints."""
        result = self.run(*words)
        assert (result.exit_code, result.stdout) == (1, "")
        (line,) = result.stderr.splitlines()
        return line
