# kinds: stdin functional unittest
# Signals to others, by number and by descriptor.
import os
import signal

for send in (
    lambda: os.kill(VICTIM, 9),
    lambda: signal.pidfd_send_signal(os.pidfd_open(VICTIM), 9),
):
    try:
        send()
    except OSError:
        pass
