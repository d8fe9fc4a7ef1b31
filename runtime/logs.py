"""Logs of every process: structlog to stderr, with the loggers of the libraries brought into the same form."""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

import structlog

from runtime.settings import LogSettings

# They build records for each message even if those are dropped later, or report what we report ourselves.
_QUIET: Final = ("aiokafka", "asyncio", "cassandra", "faust", "mode", "uvicorn.access")

# Passes on what a server of stock settings says of every batch above 5 KiB; ours are bounded on purpose.
_SILENT: Final = ("cassandra.protocol",)

# While Kafka is away aiokafka repeats itself some 25 times a second.
_REPEAT_SECONDS: Final = 10.0


class _Seldom(logging.Filter):
    """Lets each message of a chatty library through once in a while."""

    def __init__(self, library: str) -> None:
        super().__init__()
        self._library = library
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] != self._library:
            return True
        now, template = time.monotonic(), str(record.msg)
        if now - self._last.get(template, -_REPEAT_SECONDS) < _REPEAT_SECONDS:
            return False
        self._last[template] = now
        return True


def configure(settings: LogSettings) -> None:
    """Set up logging for this process. Called once, by a composition root."""
    level = logging.getLevelNamesMapping()[settings.level]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            *_render(settings.json_lines),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Seldom("aiokafka"))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_render(settings.json_lines)],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _render(json_lines: bool) -> list[structlog.types.Processor]:
    if json_lines:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
