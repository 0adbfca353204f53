"""`winback compile` where it cannot."""

import pytest

from agents.compile import complaint

REFUSED = 'streams/score.py:7: error: Value 4294967295 is out of range for "i32"'
WARNED = "streams/intake.py:187: warning: Treating generator comprehension as list"
NO_HEADERS = "native.c:3:10: fatal error: Python.h: No such file or directory"
NO_COMPILER = "error: command 'gcc' failed: No such file or directory"
FAILED = "error: command '/usr/bin/gcc' failed with exit code 1"


@pytest.mark.parametrize(
    ("out", "errors", "expected"),
    [
        (f"{REFUSED}\n{WARNED}\n", "", REFUSED),
        ("", f"{WARNED}\n{REFUSED}\n{WARNED}", REFUSED),
        ("running build_ext\n", f"{NO_HEADERS}\ncompilation terminated.\n{FAILED}\n", NO_HEADERS),
        ("running build_ext\n", f"{NO_COMPILER}\n", NO_COMPILER),
        ("", "No module named mypyc\n\n", "No module named mypyc"),
        ("running build_ext\n", "", "running build_ext"),
        ("", "\n", "no message"),
    ],
)
def test_the_cause_is_told(out: str, errors: str, expected: str) -> None:
    """Not a warning that comes after it, and not that something has failed."""
    assert expected == complaint(out, errors)
