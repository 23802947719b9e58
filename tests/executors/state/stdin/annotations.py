from heapq import merge

print("seen" if "x" in merge.__annotations__ else "fresh")
merge.__annotations__["x"] = 1
