import heapq

try:
    heapq.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
for heapq.seen in [1]:
    pass
