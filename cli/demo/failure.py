"""How the demo fails: whatever it claims is checked, so that it cannot look fine by itself."""


class DemoFailedError(Exception):
    """Something that the demo shows is not so; the message is for the user."""


def require(holds: bool, message: str) -> None:
    """Go on only if a claim holds.

    Raises:
        DemoFailedError: It does not.
    """
    if not holds:
        raise DemoFailedError(message)
