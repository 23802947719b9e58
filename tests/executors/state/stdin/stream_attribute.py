import sys

try:
    sys.stdout.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
sys.stdout.seen = 1
