"""`python -m funprm`: what launchers of several processes start."""

import sys

from funprm.cli import main

sys.exit(main())
