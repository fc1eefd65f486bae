"""gunicorn's log lines in the service's form."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger


class GunicornLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger that uses the root logger."""

    def setup(self, cfg: Any) -> None:
        """Set up. Called by gunicorn with its settings."""
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True
