"""A Dagster logger for people at a terminal: one short line per message, with the time since start.

Used by the command line only; the event log and `dagster dev` keep Dagster's own. Engine events
(step starts, storage, resources) are left out: the summary says what matters of them.
"""

import logging
import sys
import time

import dagster as dg

TERMINAL = "terminal"


class _ShortLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self._start = time.monotonic()

    def format(self, record: logging.LogRecord) -> str:
        meta = getattr(record, "dagster_meta", {})
        step = (meta.get("step_key") or "").replace("__", "/")
        message = meta.get("orig_message") or record.getMessage()
        return f"{time.monotonic() - self._start:7.1f} s  {step + ': ' if step else ''}{message}"


def _is_for_people(record: logging.LogRecord) -> bool:
    # Behind a failed step Dagster logs a line for every step that is left out because of it.
    engine = getattr(record, "dagster_meta", {}).get("dagster_event") is not None
    return not engine and not record.getMessage().endswith("Not executing.")


@dg.logger(None, description="Short lines for a terminal.")
def terminal_logger(_: dg.InitLoggerContext) -> logging.Logger:
    """Log messages of assets (not engine events) to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_ShortLines())
    handler.addFilter(_is_for_people)
    logger = logging.getLogger("recsys_assets.terminal")
    logger.setLevel(logging.INFO)
    logger.handlers = [handler]
    logger.propagate = False
    return logger
