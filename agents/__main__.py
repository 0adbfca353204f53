"""`python -m agents`, and the entry point of `winback`."""

import sys

from streams.compiled import use


def main() -> int:
    """Run a command, with the compiled fold where there is one."""
    use()
    # Only now: whatever it imports is to be found by then.
    from agents.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
