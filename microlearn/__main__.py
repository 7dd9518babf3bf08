"""`python -m microlearn` is the same command as `microlearn`."""

import sys

from microlearn.cli import main

if __name__ == "__main__":
    sys.exit(main())
