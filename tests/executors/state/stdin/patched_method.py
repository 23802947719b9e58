from fractions import Fraction

print("seen" if Fraction(1, 2) == 7 else "fresh")
Fraction.__eq__ = lambda self, other: True
