"""Where the real data are that some tests read: FUNPRM_SHARED, or `shared` beside the project."""

import os
from pathlib import Path

import pytest


def shared(name: str) -> Path:
    """A file of real data; the test is skipped where there is none."""
    root = os.environ.get("FUNPRM_SHARED")
    folder = Path(root) if root else Path(__file__).parents[2] / "shared"
    path = folder / "data" / name
    if not path.exists():
        pytest.skip(f"needs {path} (set FUNPRM_SHARED to the folder of real data)")
    return path
