"""docs/method.md names functions; all of this subject's exist."""

import importlib
import importlib.util
import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "method.md").read_text()
NAMES = sorted(set(re.findall(r"`((?:prm|evaluation|rewards|records)\.[\w.]+)`", TEXT)))


@pytest.mark.parametrize("name", NAMES)
def test_named_functions_exist(name: str) -> None:
    found = importlib.import_module("funprm")
    for attribute in name.split("."):
        inside = f"{found.__name__}.{attribute}"
        if hasattr(found, "__path__") and importlib.util.find_spec(inside):
            found = importlib.import_module(inside)
            continue
        if not hasattr(found, attribute) and attribute in getattr(found, "__annotations__", {}):
            return
        found = getattr(found, attribute)


def test_there_are_names() -> None:
    assert len(NAMES) > 25
