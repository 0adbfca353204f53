"""`python -m agents`, and the entry point of `winback`."""

import sys

from agents.cli import main

if __name__ == "__main__":
    sys.exit(main())
