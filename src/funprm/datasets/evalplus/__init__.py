"""HumanEval and MBPP, and their EvalPlus forms (arXiv 2107.03374, 2108.07732, 2305.01210)."""

from typing import Literal

Version = Literal["base", "plus"]
"""With the original tests, or with the many more of EvalPlus."""
