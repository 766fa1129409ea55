"""``python -m rivulet``: the command."""

import sys

from rivulet.cli import main

if __name__ == "__main__":
    sys.exit(main())
