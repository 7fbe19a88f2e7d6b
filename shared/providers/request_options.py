"""Puts a candidate's options into a request body.

Invariant: an option of the routing table wins over what the adapter would send by itself.
"""

from collections.abc import Mapping

from shared.domain.provider_calls import OptionValue
from shared.providers.json_reading import JsonObject, object_at


def with_options(body: JsonObject, options: Mapping[str, OptionValue]) -> JsonObject:
    """Return `body` with the options added; a dot in a name leads into an object.

    `{"chat_template_kwargs.enable_thinking": False}` becomes
    `{"chat_template_kwargs": {"enable_thinking": False}}`.
    """
    merged = dict(body)
    for name, value in options.items():
        head, _, rest = name.partition(".")
        merged[head] = with_options(object_at(merged, head), {rest: value}) if rest else value
    return merged
