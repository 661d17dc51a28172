"""``python -m mvar_golden``."""

import sys

from .command import main

sys.exit(main())
