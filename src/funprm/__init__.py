"""FunPRM: process reward models for code, in which every function is a step."""

__version__ = "0.1.0"
