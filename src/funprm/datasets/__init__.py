"""Benchmarks, one module or package each; found through the entry points `funprm.datasets`."""
