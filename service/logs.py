"""Logs: one JSON line per event on standard error.

Lines of gunicorn, libraries and Python itself have the same form. Every line of a request has its `request_id`, every
line of a job also `job_id`: both are bound to the thread's context where the work begins.
"""

from __future__ import annotations

import contextvars
import functools
import logging
import re
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

import structlog

log = structlog.get_logger(__name__)

# Such values must not be logged; if one is by mistake, it is replaced.
SECRET = re.compile(r"password|secret|token|authorization|user_data|private_key", re.IGNORECASE)
WITHHELD = "[withheld]"
LONGEST_PATH = 200


def set_up_logging(stream: TextIO | None = None) -> None:
    """Configure logging, once per process at its start.

    `stream` is standard error by default; tests pass their own.
    """
    out = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        withhold,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(file=out),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=stream is None,
    )
    _set_up_foreign(out, shared)
    sys.excepthook = _uncaught
    threading.excepthook = lambda failure: _uncaught(failure.exc_type, failure.exc_value, failure.exc_traceback)


def withhold(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Replace values under a name that may be a secret's. A structlog processor."""
    for key in event:
        if SECRET.search(key):
            event[key] = WITHHELD
    return event


def carried(function: Callable[[], None]) -> Callable[[], None]:
    """Wrap a function for another thread, so that its lines have this thread's ids."""
    return functools.partial(contextvars.copy_context().run, function)


def access(method: str, path: str, status: int, *, ms: float, actor: str, source: str) -> None:
    """Log an answered request, without its query and body."""
    log.info(
        "http.request",
        method=method,
        path=path[:LONGEST_PATH],
        status=status,
        ms=round(ms, 1),
        actor=actor,
        source=source,
    )


def _set_up_foreign(out: TextIO, shared: list[Any]) -> None:
    handler = logging.StreamHandler(out)
    named: list[Any] = [structlog.stdlib.add_logger_name, *shared]
    renderer = structlog.processors.JSONRenderer()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=named))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _uncaught(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
    if kind is not None and issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    fault = (kind, error, trace) if kind is not None and error is not None else None
    log.critical("process.uncaught", exc_info=fault)
