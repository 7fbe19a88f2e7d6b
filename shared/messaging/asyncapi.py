"""The AsyncAPI document, made from the topology and the message models.

FastStream's own generator sees only subscribers that exist at import, and ours are made behind
gates at run time; hence this one. No broker is asked.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import JsonValue

from shared.domain.gates import (
    CHAT_FREE,
    CHAT_PAID,
    CHAT_PREMIUM,
    EMBED_BULK,
    EMBED_INTERACTIVE,
)
from shared.domain.retry import RUNGS
from shared.messages.schemas import FRAME_TYPES, MESSAGE_BY_NAME, message_schema
from shared.messaging.topology import (
    CONTROL,
    DEAD_CHAT,
    DEAD_EMBED,
    DEAD_LETTERS,
    DEAD_USAGE,
    EVENTS,
    EXCHANGES,
    JOBS,
    QUEUES,
    STREAM,
    USAGE_LEDGER,
)

Json = dict[str, JsonValue]
Direction = Literal["send", "receive"]

_COMMANDS = ("complete_chat.v1", "embed_texts.v1")
_WORK = (*_COMMANDS, "usage_recorded.v1")
_FRAMES = tuple(str(frame.model_fields["type"].default) for frame in FRAME_TYPES)
_MESSAGES_BY_EXCHANGE: Mapping[str, tuple[str, ...]] = {
    JOBS: _COMMANDS,
    EVENTS: ("usage_recorded.v1",),
    STREAM: _FRAMES,
    CONTROL: ("hint",),
    DEAD_LETTERS: _WORK,
    **{rung.exchange: _WORK for rung in RUNGS},
}
_MESSAGES_BY_QUEUE: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((CHAT_FREE, CHAT_PAID, CHAT_PREMIUM, DEAD_CHAT), ("complete_chat.v1",)),
    **dict.fromkeys((EMBED_INTERACTIVE, EMBED_BULK, DEAD_EMBED), ("embed_texts.v1",)),
    **dict.fromkeys((USAGE_LEDGER, DEAD_USAGE), ("usage_recorded.v1",)),
    **{rung.exchange: _WORK for rung in RUNGS},
}
_OPERATIONS: tuple[tuple[str, Direction, str], ...] = (
    ("api.submits", "send", f"exchange.{JOBS}"),
    ("inference_worker.answers_free", "receive", f"queue.{CHAT_FREE}"),
    ("inference_worker.answers_paid", "receive", f"queue.{CHAT_PAID}"),
    ("inference_worker.answers_premium", "receive", f"queue.{CHAT_PREMIUM}"),
    ("inference_worker.streams", "send", f"exchange.{STREAM}"),
    ("inference_worker.reports_usage", "send", f"exchange.{EVENTS}"),
    ("embedding_worker.embeds", "receive", f"queue.{EMBED_INTERACTIVE}"),
    ("embedding_worker.embeds_bulk", "receive", f"queue.{EMBED_BULK}"),
    ("embedding_worker.reports_usage", "send", f"exchange.{EVENTS}"),
    ("cost_aggregator.books", "receive", f"queue.{USAGE_LEDGER}"),
    ("cost_aggregator.hints", "send", f"exchange.{CONTROL}"),
)
_JOB_PARAMETER: Json = {"parameters": {"job_id": {"description": "The job whose frames these are"}}}


def asyncapi_document(version: str) -> Json:
    """Return the document of every exchange and queue, with what travels through it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Sluiceway",
            "version": version,
            "description": "What travels over RabbitMQ. Clients use the HTTP API instead.",
        },
        "defaultContentType": "application/json",
        "channels": {**_exchange_channels(), **_queue_channels()},
        "operations": {
            name: {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}
            for name, action, channel in _OPERATIONS
        },
        "components": {"messages": _messages()},
    }


def _exchange_channels() -> Json:
    return {
        f"exchange.{exchange.name}": {
            "address": "job.{job_id}" if exchange.name == STREAM else exchange.name,
            "messages": _references(_MESSAGES_BY_EXCHANGE[exchange.name]),
            **(_JOB_PARAMETER if exchange.name == STREAM else {}),
            "bindings": {
                "amqp": {
                    "is": "routingKey",
                    "exchange": {"name": exchange.name, "type": exchange.kind, "durable": True},
                }
            },
        }
        for exchange in EXCHANGES
    }


def _queue_channels() -> Json:
    return {
        f"queue.{queue.name}": {
            "address": queue.name,
            "messages": _references(_MESSAGES_BY_QUEUE[queue.name]),
            "bindings": {
                "amqp": {
                    "is": "queue",
                    "queue": {
                        "name": queue.name,
                        "durable": queue.durable,
                        "exclusive": queue.exclusive,
                        "autoDelete": queue.auto_delete,
                    },
                }
            },
        }
        for queue in QUEUES
    }


def _references(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _messages() -> Json:
    hint: Json = {"name": "hint", "title": "Look again", "payload": {"type": "object"}}
    return {
        "hint": hint,
        **{
            name: {
                "name": name,
                "title": message.__name__,
                "payload": {
                    "schemaFormat": "application/schema+json;version=draft-2020-12",
                    "schema": message_schema(
                        message, f"#/components/messages/{name}/payload/schema"
                    ),
                },
            }
            for name, message in MESSAGE_BY_NAME.items()
        },
    }
