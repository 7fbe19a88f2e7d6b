"""Structured logs: one JSON object per line on standard error, the libraries' own lines included.

Invariant: an event's name is constant and dotted (`job.settled`), what varies is in its fields;
neither prompts nor keys are logged, and tracebacks carry no local variables.
"""

import logging
import sys

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_QUIET_LIBRARIES = ("httpx", "httpx2", "httpcore", "aiormq", "aio_pika", "faststream", "openai")
"""Their informational lines would repeat ours, with addresses in them."""


def configure(process_name: str, level: str) -> None:
    """Send every log line of this process to standard error as JSON; call once, at start.

    Args:
        process_name: Which process speaks (`api-1`).
        level: `debug`, `info`, `warning` or `error`.
    """

    def name_process(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {**event, "process": process_name}

    ours_and_theirs: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        name_process,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *ours_and_theirs,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.root.handlers = [_json_lines(ours_and_theirs)]
    logging.root.setLevel(level.upper())
    for library in _QUIET_LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)


def _json_lines(foreign: list[Processor]) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=foreign,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_json),
            ],
        )
    )
    return handler


def _json(event: object, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()
