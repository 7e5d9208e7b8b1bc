"""``python -m spikelab``: the command line."""

import sys

from spikelab.cli import main

sys.exit(main())
