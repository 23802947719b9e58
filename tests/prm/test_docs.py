"""docs/method.md names functions; all of this subject's exist."""

import importlib
import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "method.md").read_text()
NAMES = sorted(set(re.findall(r"`((?:prm|rewards|records)\.[\w.]+)`", TEXT)))


@pytest.mark.parametrize("name", NAMES)
def test_named_functions_exist(name: str) -> None:
    module, *attributes = re.findall(r"prm\.\w+|\w+", name)
    found = importlib.import_module(f"funprm.{module}")
    for attribute in attributes:
        if not hasattr(found, attribute) and attribute in getattr(found, "__annotations__", {}):
            return
        found = getattr(found, attribute)


def test_there_are_names() -> None:
    assert len(NAMES) > 25
