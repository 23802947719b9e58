"""The watcher's side of the zygote. Standard library only."""

from __future__ import annotations

import ast
import select
import socket
import sys

from funprm.executors import protocol
from funprm.executors.inside.jobs import Suite

PATIENCE = 20.0
"""Seconds that the zygote may take for what takes milliseconds."""
_MOST_PRELUDE = 1 << 15
_STANDARD = sys.stdlib_module_names - {"antigravity", "this", "idlelib", "tkinter", "turtle"}
_HARMLESS = ("sys.setrecursionlimit(50000)", "inf = float('inf')")
_MOCKS = "import unittest.mock"


class ZygoteError(Exception):
    """The zygote is gone, or does not do what it must."""


class Link:
    """Orders to the zygote, and its answers."""

    def __init__(self, end: socket.socket) -> None:
        """Take over the connection."""
        end.setblocking(False)
        self._end = end
        self._preludes: dict[str, int] = {"": -1}

    def fileno(self) -> int:
        """The descriptor that tells of an answer."""
        return self._end.fileno()

    def order(self, order: bytes, descriptors: list[int] | None = None) -> None:
        """Give an order.

        Raises:
            ZygoteError: nobody takes it.
        """
        try:
            protocol.send_order(self._end, order, descriptors or [])
        except OSError as error:
            raise ZygoteError(f"the zygote takes no orders: {error}") from None

    def answer(self, kind: bytes) -> bytes:
        """Wait for the zygote's answer of a kind.

        Raises:
            ZygoteError: there is none.
        """
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        if not poll.poll(1000 * PATIENCE):
            raise ZygoteError("the zygote does not answer")
        order, _ = protocol.receive_order(self._end)
        if order[:1] != kind:
            raise ZygoteError("the zygote has ended" if not order else "the zygote is confused")
        return order

    def prelude_of(self, suite: Suite) -> int:
        """The number under which the zygote knows a suite's prelude, once it has run it."""
        if suite.settings["kind"] == "unittest":
            self._learn(_MOCKS)
        return self._learn(suite.settings["prelude"])

    def _learn(self, prelude: str) -> int:
        if prelude not in self._preludes:
            number = -1
            if is_harmless(prelude):
                self.order(protocol.PRELUDE + prelude.encode())
                number = protocol.number_of(self.answer(protocol.KNOWN))
            self._preludes[prelude] = number
        return self._preludes[prelude]


def is_harmless(prelude: str) -> bool:
    """Whether a prelude does nothing but import standard modules."""
    if len(prelude) > _MOST_PRELUDE:
        return False
    try:
        tree = ast.parse(prelude)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(map(_is_import, tree.body))


def _is_import(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level == 0 and (node.module or "").partition(".")[0] in _STANDARD
    if isinstance(node, ast.Import):
        return all(name.name.partition(".")[0] in _STANDARD for name in node.names)
    return isinstance(node, ast.Expr | ast.Assign) and ast.unparse(node) in _HARMLESS
