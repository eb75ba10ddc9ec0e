"""``python -m logagg``."""

import sys

from logagg.cli import main

sys.exit(main())
