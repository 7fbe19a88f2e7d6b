"""Lets the options of every command stand anywhere on the line."""

from collections.abc import Iterator, Sequence

_WITH_VALUE = ("--home", "--url", "--key")
_FLAGS = ("--json",)


def hoist(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with those first; what follows `--` is left alone."""
    hoisted: list[str] = []
    others: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            others += [argument, *remaining]
        elif argument in _FLAGS or argument.startswith(tuple(f"{name}=" for name in _WITH_VALUE)):
            hoisted.append(argument)
        elif argument in _WITH_VALUE:
            hoisted += [argument, *_next_of(remaining)]
        else:
            others.append(argument)
    return hoisted + others


def _next_of(remaining: Iterator[str]) -> list[str]:
    return [value for value in [next(remaining, None)] if value is not None]
