from heapq import merge

print("seen" if merge.__doc__ == "seen" else "fresh")
merge.__doc__ = "seen"
