"""`python -m postroad_tray`, for a tree that is not installed."""

import sys

from postroad_tray.program import main

if __name__ == "__main__":
    sys.exit(main())
