import math

print("seen" if math.sqrt(4) == 7 else "fresh")
math.sqrt = lambda x: 7
