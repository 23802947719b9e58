"""The program and its namespace. Standard library only."""

from __future__ import annotations

import builtins
import marshal
import sys
import types
from typing import Any

from funprm.executors.inside.channel import FILE
from funprm.executors.inside.task import Task


def fresh_module(task: Task, name: str) -> dict[str, Any]:
    """The namespace of a fresh main module, with the prelude's names in it."""
    module = types.ModuleType(name)
    namespace = module.__dict__
    sys.modules["__main__"] = sys.modules[name] = module
    if task.namespace is not None:
        namespace.update(task.namespace)
    elif task.prelude:
        exec(compile(task.prelude, "prelude.py", "exec", dont_inherit=True), namespace)
    namespace.update(__name__=name, __file__=FILE, __builtins__=builtins)
    return namespace


def compiled(task: Task) -> types.CodeType:
    """The program's code.

    Raises:
        SyntaxError: it is no Python; and ValueError, UnicodeError, RecursionError, MemoryError.
    """
    if task.compiled:
        code = marshal.loads(task.compiled)
        assert isinstance(code, types.CodeType)
        return code
    return compile(task.code, FILE, "exec", dont_inherit=True)
