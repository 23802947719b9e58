"""For all tests."""

import signal

from hypothesis import settings

# A shell ignores SIGINT for what it starts in the background, and processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine must not fail a test; examples are the same in every run.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
