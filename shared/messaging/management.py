"""Policies over RabbitMQ's management API, the only protocol that can set them from a client.

Invariant: a policy that the broker refuses stops the deployment. One unknown key makes the broker
drop the whole policy, and a queue without its dead-letter exchange loses messages in silence.
"""

import asyncio
import json
from base64 import b64encode
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from shared.domain.errors import BrokerUnavailableError, TopologyError
from shared.messaging.topology import Policy

_TIMEOUT_SECONDS: Final = 10.0


class Management:
    """The management API of one virtual host."""

    def __init__(self, management_url: str, amqp_url: str) -> None:
        """Take the API's base URL; the AMQP URL names the virtual host, and the user if it doesn't.

        Args:
            management_url: Such as `http://127.0.0.1:15672`, with or without `user:password@`.
            amqp_url: The broker's URL; its percent-encoded path is the virtual host.
        """
        self._url = urlsplit(management_url)
        amqp = urlsplit(amqp_url)
        self._user = unquote(self._url.username or amqp.username or "guest")
        self._password = unquote(self._url.password or amqp.password or "guest")
        # As aio-pika reads it: no path at all means the virtual host "/".
        self._virtual_host = unquote(amqp.path.removeprefix("/")) or "/"

    async def put_policy(self, policy: Policy, version: tuple[int, int]) -> None:
        """Create or replace a policy; doing it again changes nothing.

        Raises:
            TopologyError: The broker refused it.
            BrokerUnavailableError: The management API did not answer.
        """
        body = {
            "pattern": policy.pattern,
            "definition": policy.definition_for(version),
            "priority": 0,
            # 3.10 knows no narrower target.
            "apply-to": "queues",
        }
        status, answer = await asyncio.to_thread(self._put, policy.name, json.dumps(body).encode())
        if status not in {201, 204}:
            raise TopologyError(
                f"policy {policy.name!r} was refused with {status}: {answer}; check that the "
                f"user of the management API may administer {self._virtual_host!r}"
            )

    def _put(self, policy_name: str, body: bytes) -> tuple[int, str]:
        connect = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        host = self._url.hostname or "127.0.0.1"
        connection = connect(host, self._url.port, timeout=_TIMEOUT_SECONDS)
        path = f"/api/policies/{quote(self._virtual_host, safe='')}/{quote(policy_name, safe='')}"
        token = b64encode(f"{self._user}:{self._password}".encode()).decode()
        headers = {"content-type": "application/json", "authorization": f"Basic {token}"}
        try:
            connection.request("PUT", self._url.path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")[:500]
        except (OSError, HTTPException) as error:
            raise BrokerUnavailableError(
                f"the management API at {host}:{self._url.port} did not answer ({error}); check "
                "RABBITMQ_MANAGEMENT_URL and that the plugin rabbitmq_management is enabled"
            ) from error
        finally:
            connection.close()
