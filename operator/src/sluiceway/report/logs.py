"""What the operator writes on standard error: text for a terminal, or lines of JSON.

Other libraries speak here only when something is wrong. Whatever looks like a
password in an address is taken out of every line, whoever wrote it: an exception's
text is not ours to choose.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO


class LogFormat(StrEnum):
    """For people or for programs."""

    TEXT = "text"
    JSON = "json"


FIELDS = ("namespace", "taskqueue", "reason", "from", "to", "desired", "event")
"""What a record may carry (``extra=``) beside its message; all of it is in the JSON."""

_ONLY_TROUBLE = ("kopf", "aiohttp", "asyncio", "kubernetes", "urllib3")
"""Their progress is of no interest; what they warn of is."""

_SECRETS = (
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s:/@\"']*):[^\s\"']*@", re.IGNORECASE), r"\1:***@"),
    (re.compile(r"\b(bearer) [\w.~+/=-]+", re.IGNORECASE), r"\1 ***"),
    (re.compile(r"\b(password|token)=[^\s&\"']+", re.IGNORECASE), r"\1=***"),
)


def set_up_logging(
    chosen: LogFormat, *, level: int = logging.INFO, stream: TextIO | None = None
) -> None:
    """Write all that is logged in this process, in place of whatever was set up before.

    Args:
        level: for our own lines.
        stream: standard error unless given.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if chosen is LogFormat.JSON else TextLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in _ONLY_TROUBLE:
        logging.getLogger(name).setLevel(logging.WARNING)


def without_secrets(text: str) -> str:
    """The text with ``***`` in place of passwords and tokens."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


class TextLines(logging.Formatter):
    """``2026-11-25T17:47:02.123Z INFO    sluiceway.kube.leader: …``, with any traceback."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """In UTC, as the cluster's other lines."""
        return _time(record)

    def format(self, record: logging.LogRecord) -> str:
        """The whole record; a traceback makes it several lines."""
        return without_secrets(super().format(record))


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message, and what it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the record holds."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        line |= {name: record.__dict__[name] for name in FIELDS if name in record.__dict__}
        if record.exc_info:
            line["exception"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
