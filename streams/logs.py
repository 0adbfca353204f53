"""Logs: few lines, each an event with keys; JSON where a program reads them, to stderr.

    log = structlog.get_logger()
    log.info("partition recovered", partition=3, customers=120_000)

Customers, keys and values of records never stand in one.
"""

import logging
import sys
from math import inf
from typing import Final, Literal, TextIO

import structlog
from aiokafka.errors import KafkaError
from structlog.typing import EventDict, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]

_QUIET: Final = logging.WARNING
"""Of Faust, mode, aiokafka and everything else that logs the standard way."""
_REPEATED_SECONDS: Final = 60.0
"""After which they may say the same again."""
_REMEMBERED: Final = 1000
"""Messages of theirs, at most: some hold a number that is never the same."""


def configure(level: Level, *, stream: TextIO | None = None, as_json: bool | None = None) -> None:
    """Set up structlog and the standard library's logging; to be called once, at the edge.

    level: of our own events. stream: stderr without it. as_json: without it, where `stream` is no
    terminal. Calling it again replaces what the last call set up.
    """
    target = stream or sys.stderr
    as_json = not target.isatty() if as_json is None else as_json
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last = _json() if as_json else _words(colors=target.isatty())
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                *shared,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                _answer_in_a_word,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    handler.addFilter(_Repeated())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # At the root, so that nobody builds a record that is then not printed: Faust at DEBUG spent an
    # eighth of its time on that.
    root.setLevel(_QUIET)
    logging.captureWarnings(capture=True)


class _Repeated(logging.Filter):
    """Lets the same message through once a minute, with the number of those left out meanwhile.

    A broker that is away is tried again a hundred times a second, and aiokafka logs each time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str, str], tuple[float, int]] = {}
        """When each was let through (logger, message, exception), and how many have been left out since."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is to be said."""
        try:
            message = record.name, record.getMessage(), repr(record.exc_info and record.exc_info[1])
        except Exception:  # noqa: BLE001 - its words and values do not fit: whoever writes it out says so
            return True
        said_at, left_out = self._said.get(message, (-inf, 0))
        if record.created - said_at < _REPEATED_SECONDS:
            self._said[message] = said_at, left_out + 1
            return False
        if left_out:
            record.left_out = left_out
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said[message] = record.created, 0
        return True


def _answer_in_a_word(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What a broker answered is no defect of the program: its name will do, without a traceback."""
    found = event.get("exc_info")
    if isinstance(found, tuple) and isinstance(found[1], KafkaError):
        del event["exc_info"]
        event["error"] = type(found[1]).__name__
    return event


# Both show a traceback without its local variables, which structlog would print: one may hold a customer.
def _json() -> list[Processor]:
    traceback = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(traceback), structlog.processors.JSONRenderer()]


def _words(*, colors: bool) -> list[Processor]:
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
