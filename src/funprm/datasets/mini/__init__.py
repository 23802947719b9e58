"""A generated benchmark of small problems, and the corpus of the language model for it."""

from funprm.datasets.mini.dataset import MiniDataset

__all__ = ["MiniDataset"]
