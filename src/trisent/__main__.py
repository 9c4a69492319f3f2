"""`python -m trisent` is `trisent`."""

import sys

from trisent.cli import main

sys.exit(main())
