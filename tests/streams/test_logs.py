"""What a worker logs, and in which form."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from aiokafka.errors import UnknownError

from streams import logs


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The logging of the tests themselves, as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def written() -> io.StringIO:
    """A stream that is no terminal."""
    return io.StringIO()


def fail(customer: str) -> None:
    """An error with a customer among its local variables."""
    upper = customer.upper()
    if upper:
        raise ValueError("broken")


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Each line as the JSON it must be."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json(written: io.StringIO) -> None:
    """Event, level, time and keys stand in one object."""
    logs.configure("info", stream=written)
    structlog.get_logger().info("partition recovered", partition=3)
    (line,) = lines(written)
    assert line.pop("timestamp").endswith("Z")
    assert {"event": "partition recovered", "level": "info", "partition": 3} == line


def test_a_terminal_gets_no_json() -> None:
    """People read words."""
    terminal = Terminal()
    logs.configure("info", stream=terminal)
    structlog.get_logger().info("partition recovered", partition=3)
    assert "partition recovered" in terminal.getvalue()
    assert "{" not in terminal.getvalue()


def test_what_lies_below_the_level_is_left_out(written: io.StringIO) -> None:
    """Our own events obey the setting."""
    logs.configure("warning", stream=written)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("heard")
    assert ["heard"] == [line["event"] for line in lines(written)]


@pytest.mark.parametrize("name", ["faust", "aiokafka.consumer", "mode", "kafka"])
def test_libraries_are_heard_from_warning_on(written: io.StringIO, name: str) -> None:
    """They write in our form, and build no record below, even where our own level is debug."""
    logs.configure("debug", stream=written)
    logger = logging.getLogger(name)
    assert not logger.isEnabledFor(logging.INFO)
    logger.info("joined group")
    logger.warning("lost %s", "connection")
    (line,) = lines(written)
    assert ("lost connection", "warning", name) == (line["event"], line["level"], line["logger"])


def test_a_traceback_stays_on_its_line(written: io.StringIO) -> None:
    """An exception is part of the object, whoever logs it."""
    logs.configure("info", stream=written)
    try:
        fail("customer-1")
    except ValueError:
        structlog.get_logger().exception("ours")
        logging.getLogger("asyncio").exception("theirs")
    assert [["ValueError"], ["ValueError"]] == [
        [each["exc_type"] for each in line["exception"]] for line in lines(written)
    ]


def test_what_a_broker_answered_is_told_in_a_word(written: io.StringIO) -> None:
    """aiokafka logs a traceback where a broker that is stopping gives no reason."""
    logs.configure("info", stream=written)
    logging.getLogger("aiokafka.producer").error("unexpected", exc_info=UnknownError())
    (line,) = lines(written)
    assert "exception" not in line
    assert ("unexpected", "UnknownError") == (line["event"], line["error"])


def test_what_a_library_repeats_is_said_once_a_minute(written: io.StringIO) -> None:
    """A broker that is away is tried again and again, and each try is logged: the next line counts them."""
    logs.configure("info", stream=written)
    logger = logging.getLogger("aiokafka")
    for second in (0.0, 0.01, 59.0, 60.0, 61.0):
        record = logger.makeRecord(logger.name, logging.ERROR, __file__, 1, "node %d is away", (1,), None)
        record.created = 1000.0 + second
        logger.handle(record)
    logger.error("node %d is away", 2)
    logger.error("node %d is away", 2, exc_info=UnknownError())
    events = [(line["event"], line.get("left_out")) for line in lines(written)]
    assert [
        ("node 1 is away", None),
        ("node 1 is away", 2),
        ("node 2 is away", None),
        ("node 2 is away", None),
    ] == events


def test_a_library_that_logs_nonsense_goes_on(
    written: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log line whose values do not fit its words is not the end of who logs it."""
    logs.configure("info", stream=written)
    logging.getLogger("aiokafka").error("node %d is away", "one")
    assert "node %d is away" in capsys.readouterr().err


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_traceback_shows_no_values(stream: io.StringIO) -> None:
    """Local variables may hold a customer: they are not written, neither as JSON nor to a terminal."""
    logs.configure("info", stream=stream)
    try:
        fail("-".join(["customer", str(4710 + 1)]))
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "broken" in stream.getvalue()
    assert "4711" not in stream.getvalue()


def test_configuring_twice_says_nothing_twice(written: io.StringIO) -> None:
    """The last call wins."""
    logs.configure("info", stream=io.StringIO())
    logs.configure("info", stream=written)
    logging.getLogger("faust").warning("once")
    assert 1 == len(lines(written))


def test_warnings_are_log_lines(written: io.StringIO) -> None:
    """Python's warnings go where everything else goes."""
    logs.configure("info", stream=written)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old habits", DeprecationWarning, stacklevel=1)
    (line,) = lines(written)
    assert "py.warnings" == line["logger"]
