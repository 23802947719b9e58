import operator

print("seen" if operator.is_(1, 2) else "fresh")
operator.is_ = lambda a, b: True
