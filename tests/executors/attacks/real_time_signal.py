# kinds: stdin functional check unittest
# Death by a signal without a name.
import os

os.kill(os.getpid(), 35)
