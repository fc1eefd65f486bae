"""gunicorn's own log lines, in the same form as everybody's."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger


class GunicornLogger(Logger):  # type: ignore[misc]
    """gunicorn's own lines go where everybody's go."""

    def setup(self, cfg: Any) -> None:
        """Called by gunicorn once it knows its settings."""
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True
