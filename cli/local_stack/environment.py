"""The environment that children inherit; this program reads no setting from it."""

import os


def inherited_environment() -> dict[str, str]:
    """Return a copy of this process's environment, to be handed on to a child."""
    return dict(os.environ)  # noqa: TID251 - handed on as a whole, never read for a setting
