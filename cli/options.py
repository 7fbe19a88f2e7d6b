"""What the options that every command has resolve to."""

from dataclasses import dataclass
from pathlib import Path

import typer

from cli.api_client import Access, ApiClient, find_access

DEFAULT_HOME = Path(".sluiceway")


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """The options that every command has."""

    url: str | None
    key: str | None
    home: Path
    as_json: bool

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


def global_options(context: typer.Context) -> GlobalOptions:
    """Return the options that every command has.

    Raises:
        TypeError: The program was entered past its main callback.
    """
    found = context.find_object(GlobalOptions)
    if found is None:
        raise TypeError("the main callback did not run")
    return found
