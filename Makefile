PY := .venv/bin/python

.PHONY: setup demo test test-all check mini-model
