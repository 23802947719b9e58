import sys

try:
    sys.stdout.buffer.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
sys.stdout.buffer.seen = 1
