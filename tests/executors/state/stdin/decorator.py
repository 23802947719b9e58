from dataclasses import dataclass
from fractions import Fraction

try:
    Fraction.__dataclass_params__
except AttributeError:
    print("fresh")
else:
    print("seen")
try:
    dataclass(Fraction)
except TypeError:
    pass
