"""Which proxy leads to a provider, by the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`."""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def proxy_for(url: str) -> str | None:
    """Return the proxy's URL; None when the server is asked directly."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)
