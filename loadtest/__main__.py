"""`python -m loadtest` is `canary-loadtest`."""

import sys

from loadtest.cli import main

sys.exit(main())
