# Every target builds .venv by itself; nothing outside this folder is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test test-all check docs format mini-model clean
.DEFAULT_GOAL := help

help:
	@echo "make demo        the whole method on this machine, in minutes"
	@echo "make test        the fast tests"
	@echo "make test-all    all tests, slow ones too"
	@echo "make check       lint, types, import contracts, docs up to date"
	@echo "make docs        generate the generated docs"
	@echo "make format      format and fix what can be fixed"
	@echo "make mini-model  train the tiny code model again"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; give it as: make PYTHON=/path/to/python3.11"; exit 2; }
	@echo "setting up $(VENV) (once; a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q -c constraints.txt torch==2.13.0
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev,distributed]'
	@touch $@

setup: $(READY)

demo: $(READY)
	@$(BIN)/funprm demo

test: $(READY)
	@$(BIN)/python -m pytest

test-all: $(READY)
	@$(BIN)/python -m pytest -m 'slow or not slow'

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python scripts/generate_docs.py --check

docs: $(READY)
	@$(BIN)/python scripts/generate_docs.py

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

mini-model: $(READY)
	@$(BIN)/python scripts/mini_model.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
