import re

try:
    re.IGNORECASE.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
re.IGNORECASE.seen = 1
