"""For all tests."""

import signal

# A shell ignores SIGINT for what it starts in the background, and processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
