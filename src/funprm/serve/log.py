"""The log: JSON lines, without programs and keys."""

import json
import logging
import time
from typing import TextIO

LOG = logging.getLogger("funprm.serve")


def log_to(stream: TextIO) -> None:
    """Write the log as JSON lines; programs and keys are not in it."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLines())
    for name in (LOG.name, "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if name == LOG.name else logging.WARNING)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        row = {"time": f"{when}.{int(record.msecs):03}Z", "level": record.levelname.lower()}
        row |= {"event": record.getMessage(), **getattr(record, "fields", {})}
        if record.exc_info:
            row["trace"] = self.formatException(record.exc_info)
        return json.dumps(row)
