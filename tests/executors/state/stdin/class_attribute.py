from fractions import Fraction

try:
    Fraction.seen
except AttributeError:
    print("fresh")
else:
    print("seen")
Fraction.seen = 1
