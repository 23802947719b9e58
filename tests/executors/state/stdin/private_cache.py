import re

print("seen" if ("k", 0) in re._cache else "fresh")
re._cache["k", 0] = 1
