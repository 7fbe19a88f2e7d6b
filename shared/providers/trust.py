"""Whose certificates are trusted: one answer for both providers.

Left alone, httpx trusts certifi's list and the OpenAI SDK the system's, which slim images lack.
Invariant: read once per process, as that takes a tenth of a second; `SSL_CERT_FILE` is respected.
"""

import ssl
from functools import cache

import httpx


@cache
def trusted_authorities() -> ssl.SSLContext:
    """Return the context for every connection to a provider."""
    return httpx.create_ssl_context()
