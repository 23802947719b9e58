"""What the documentation shows is run: Python blocks of all pages, examples in docstrings."""

import doctest
import importlib
import pkgutil
import sys
import warnings
from pathlib import Path

import pytest

import funprm
from tests import docs
from tests.models import save_prm

RUN = [page for page in docs.PAGES if docs.has_python(page)]
LEFT_OUT = [(page, b) for page in docs.PAGES for b in docs.blocks(page) if b.why]
MODULES = [
    module.name
    for module in pkgutil.walk_packages([str(docs.ROOT / "src" / "funprm")], "funprm.")
    if ">>>" in Path(str(importlib.util.find_spec(module.name).origin)).read_text()  # type: ignore[union-attr]
]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_python_on_pages(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("demo", "demo-quick"):  # what `make demo` leaves
        save_prm(tmp_path / "runs" / name / "prm" / "funprm" / "model")
    before = set(sys.modules)
    try:
        docs.run(page, tmp_path)
    finally:
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
                del sys.modules[name]


@pytest.mark.parametrize(
    ("page", "block"), LEFT_OUT, ids=[f"{page.name}:{block.line}" for page, block in LEFT_OUT]
)
def test_blocks_that_are_left_out_say_why(page: Path, block: docs.Block) -> None:
    pytest.skip(f"{page.name}:{block.line} {block.why}")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module(name)
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_there_are_examples() -> None:
    assert len(MODULES) > 20
    assert len(RUN) > 3
    assert funprm.__doc__
