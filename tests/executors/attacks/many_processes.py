# kinds: unittest
# As many processes as it can have, up to 150.
import os
import time

count = 0
try:
    while count < 150:
        if os.fork() == 0:
            time.sleep(2)
            os._exit(0)
        count += 1
except OSError:
    pass
if count > 120:
    time.sleep(0.5)
    raise SystemError(f"THROUGH: {count} processes")
