# kinds: stdin functional check unittest
# Killed, as if from outside: run again, but not for ever.
import os

os.kill(os.getpid(), 9)
