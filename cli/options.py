"""Options that every client command has, and what they resolve to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cli.api_client import Access, ApiClient, find_access

DEFAULT_HOME = Path(".sluiceway")

UrlOption = Annotated[
    str | None, typer.Option("--url", envvar="SLUICEWAY_URL", help="Address of the API.")
]
KeyOption = Annotated[
    str | None, typer.Option("--key", envvar="SLUICEWAY_KEY", help="API key.", show_envvar=True)
]
HomeOption = Annotated[Path, typer.Option("--home", help="Home of the running stack.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class Connection:
    """What the options before the command said."""

    url: str | None
    key: str | None
    home: Path

    def access(self) -> Access:
        """Return where the API answers and with which keys.

        Raises:
            ApiFailedError: Nothing says where.
        """
        return find_access(self.url, self.key, self.home)

    def user(self) -> ApiClient:
        """Return a client with the rights of a user.

        Raises:
            ApiFailedError: Nothing says where the API is.
        """
        access = self.access()
        return ApiClient(access.url, access.key)

    def admin(self) -> ApiClient:
        """Return a client with the rights of the administrator.

        Raises:
            ApiFailedError: Nothing says where the API is.
        """
        access = self.access()
        return ApiClient(access.url, access.admin_key)
