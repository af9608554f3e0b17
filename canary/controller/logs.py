"""Structured logs: one JSON object a line, or words for people at a terminal."""

import logging
import sys
from typing import Literal

import structlog


def configure(level: str, encoding: Literal["json", "console"] = "json") -> None:
    """Set up logging for the process.

    Args:
        level: least level that is written: debug, info, warning or error.
        encoding: `json` for machines, `console` for people.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", key="ts"),
            structlog.processors.StackInfoRenderer(),
            *(
                (structlog.processors.format_exc_info, structlog.processors.EventRenamer("msg"))
                if encoding == "json"
                else ()
            ),
            # Plain, as the other kinds of traceback show local variables, credentials among them.
            structlog.processors.JSONRenderer()
            if encoding == "json"
            else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
