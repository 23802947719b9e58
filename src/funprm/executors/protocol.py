"""The wire: everything that host, watcher, zygote and programs say to each other.

Three connections, each with its own kind of message, defined here and nowhere else:

- Host and watcher exchange *frames*: a header (a JSON list: kind and fields) and a body (bytes).
- Watcher and zygote exchange *orders* over a socket that keeps message borders: one letter, then
  numbers or text, and file descriptors beside them.
- A program's process writes *records* to the watcher: a letter, two times, a size, that many bytes.

Every length is bounded and every field checked where it enters. A record that is none is the
program's own fault; a frame or an order that is none is the worker's. Nothing here ever blocks.
Standard library only: host and sandbox both import this file.
"""

from __future__ import annotations

import json
import math
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

OUTCOMES = ("output", "opaque", "wrong", "error", "memory", "flood", "time", "wall", "killed")
"""What can become of a case, as a worker sees it. `killed`: by SIGKILL, by nobody we know."""
MOST_HEADER = 4 << 20
MOST_BODY = 1 << 30
MOST_TO_HOST = 80 << 20
"""Bytes of a body that a worker may send."""
MOST_RECORD = 16 << 20
"""Bytes of the text of one record."""
SHARED = "the tests shared the program's process, since their arguments are no plain data"
"""What the verdict of a `check` suite says in that case."""
_READ = 1 << 18
_LARGEST = 1 << 53


class ProtocolError(Exception):
    """Something came that is no message of this protocol."""


# --- fields ----------------------------------------------------------------------------------

Check = Callable[[Any], bool]


def _whole(value: Any) -> bool:
    return type(value) is int and -_LARGEST < value < _LARGEST


def _count(value: Any) -> bool:
    return _whole(value) and value >= 0


def _amount(value: Any) -> bool:
    """A number that is no nonsense: mebibytes."""
    return type(value) in (int, float) and math.isfinite(value) and -_LARGEST < value < _LARGEST


def _flag(value: Any) -> bool:
    return type(value) is bool


def _table(value: Any) -> bool:
    return type(value) is dict


def _reports(value: Any) -> bool:
    return type(value) is list and all(map(_report, value))


def _report(value: Any) -> bool:
    """Outcome, bytes of the body that are its text, CPU and wall microseconds."""
    if type(value) is not list or len(value) != 4 or value[0] not in OUTCOMES:
        return False
    return all(map(_count, value[1:]))


Frames = dict[str, tuple[Check, ...]]
TO_WORKER: Frames = {
    "suite": (_whole, _table),  # number, settings; body: inputs or tests
    "forget": (_whole,),
    # number, suite, first case, a process per case, stop at the first error; body: the program
    "job": (_whole, _whole, _count, _flag, _flag),
    "stop": (_whole,),
    "go": (_whole,),  # the answer to `cases` whose program waits, unless it is `stop`
}
TO_HOST: Frames = {
    "hello": (_table,),
    # number, first, mebibytes, reports, does the program wait; body: texts
    "cases": (_whole, _count, _amount, _reports, _flag),
    "end": (_whole,),
    "alive": (),
}


def checked(header: Any, kinds: Frames) -> list[Any]:
    """The header, if it is one of the kinds.

    Raises:
        ProtocolError: it is not.
    """
    if type(header) is not list or not header or type(header[0]) is not str:
        raise ProtocolError("a frame without a kind")
    checks = kinds.get(header[0])
    if checks is None or len(header) != len(checks) + 1:
        raise ProtocolError(f"a frame of unknown form, {header[0][:20]!r}")
    for check, value in zip(checks, header[1:], strict=True):
        if not check(value):
            raise ProtocolError(f"a frame {header[0]!r} with a wrong field")
    return header


# --- frames ----------------------------------------------------------------------------------

_FRAME = struct.Struct("<II")


class Frame:
    """One message between host and watcher.

    Attributes:
        kind: its kind.
        fields: what follows the kind in the header.
        body: its bytes.
    """

    __slots__ = ("_parts", "body", "fields", "kind")

    def __init__(self, kind: str, *fields: Any, body: bytes = b"") -> None:
        """Make one; fields are as in `TO_WORKER` and `TO_HOST`."""
        self.kind, self.fields, self.body = kind, fields, body
        self._parts: list[bytes] = []

    def packed(self) -> list[bytes]:
        """What goes over the wire.

        Raises:
            ProtocolError: it is too large.
        """
        if not self._parts:
            header = json.dumps([self.kind, *self.fields]).encode()
            for what, part, most in (("head", header, MOST_HEADER), ("body", self.body, MOST_BODY)):
                if len(part) > most:
                    text = f"{self.kind}: a {what} of {len(part)} bytes, {most} are allowed"
                    raise ProtocolError(text)
            head = _FRAME.pack(len(header), len(self.body)) + header
            small = len(self.body) < _READ
            self._parts = [head + self.body] if small else [head, self.body]
        return self._parts


class Connection:
    """Frames in both directions over a socket; reads and writes never wait.

    Attributes:
        waiting: bytes that are still to be sent.
    """

    def __init__(self, end: socket.socket, incoming: Frames, most_body: int = MOST_BODY) -> None:
        """Take over a connected socket.

        Args:
            end: the socket.
            incoming: kinds of frames that may come.
            most_body: bytes that the body of one may have.
        """
        end.setblocking(False)
        self._socket = end
        self._incoming = incoming
        self._most_body = most_body
        self._outbox: deque[memoryview] = deque()
        self._inbox = bytearray()
        self.waiting = 0

    def fileno(self) -> int:
        """Its descriptor, to be polled."""
        return self._socket.fileno()

    def send(self, frames: Sequence[Frame]) -> bool:
        """Queue frames and send what can be sent now; False if the other side is gone."""
        parts = [part for frame in frames for part in frame.packed()]
        if len(parts) > 1 and sum(map(len, parts)) < _READ:
            parts = [b"".join(parts)]
        self._outbox.extend(map(memoryview, parts))
        self.waiting += sum(map(len, parts))
        return self.flush()

    def flush(self) -> bool:
        """Send what can be sent now; False if the other side is gone."""
        while self._outbox:
            try:
                sent = self._socket.send(self._outbox[0])
            except BlockingIOError:
                return True
            except OSError:
                return False
            self.waiting -= sent
            if sent < len(self._outbox[0]):
                self._outbox[0] = self._outbox[0][sent:]
            else:
                self._outbox.popleft()
        return True

    def receive(self) -> list[Frame] | None:
        """Frames that have come; None at the end of the stream.

        Raises:
            ProtocolError: what came is no frame of the kinds expected.
        """
        try:
            data = self._socket.recv(_READ)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        self._inbox += data
        return list(self._frames())

    def _frames(self) -> Iterator[Frame]:
        place = 0
        while len(self._inbox) - place >= _FRAME.size:
            header, body = _FRAME.unpack_from(self._inbox, place)
            if header > MOST_HEADER or body > self._most_body:
                raise ProtocolError(f"a frame of {header} and {body} bytes")
            start = place + _FRAME.size
            end = start + header + body
            if len(self._inbox) < end:
                break
            fields = checked(_json(self._inbox[start : start + header]), self._incoming)
            yield Frame(*fields, body=bytes(memoryview(self._inbox)[start + header : end]))
            place = end
        del self._inbox[:place]

    def close(self) -> None:
        """Close the socket; more than once does no harm."""
        self._socket.close()
        self._outbox.clear()


def _json(text: bytearray) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("a frame whose header is no JSON") from None


def texts(reports: Sequence[Sequence[Any]], body: bytes) -> list[str]:
    """The texts of reports, which stand in the body one after the other.

    Raises:
        ProtocolError: the body does not hold what the reports say.
    """
    if sum(report[1] for report in reports) != len(body):
        raise ProtocolError("reports and their texts do not agree")
    found, place = [], 0
    for report in reports:
        found.append(body[place : place + report[1]].decode("utf-8", "surrogateescape"))
        place += report[1]
    return found


def encoded(text: str) -> bytes:
    """A text as programs get it; whatever is in it, it has some bytes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


# --- records ---------------------------------------------------------------------------------

_RECORD = struct.Struct("<cIII")
_MOST_TIME = 0xFFFFFFFF
RECORDS = {
    b"o": "output",  # an answer as JSON
    b"q": "opaque",  # an answer that JSON cannot hold
    b"e": "error",
    b"w": "wrong",  # the tests of a `check` or `unittest` suite are not satisfied
    b"m": "memory",
    b"l": "flood",  # an answer too long to be told
    b"E": "error",  # the program could not even be loaded: no case can be answered
    b"x": "",  # the end of a case on standard streams
    b"a": "",  # the cases that are left need a process each
    b"c": "",  # the compiled program, for later processes of the same
    b"s": "",  # the tests are about to share a process with the program
    b"p": "",  # the proof that test code came to its end
}
"""Letters of records, and the outcome that they stand for."""

Record = tuple[bytes, int, int, bytes]
"""Letter, CPU and wall microseconds, text."""


def record(letter: bytes, text: bytes, cpu: int = 0, wall: int = 0) -> bytes:
    """A record, ready to be written."""
    times = (min(max(0, cpu), _MOST_TIME), min(max(0, wall), _MOST_TIME))
    return _RECORD.pack(letter, *times, len(text)) + text


class Records:
    """Takes records out of a stream of bytes, whatever the bytes are."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._rest = bytearray()

    def take(self, data: bytes) -> Iterator[Record]:
        """Records that are complete with these bytes.

        Raises:
            ProtocolError: the bytes are no records.
        """
        self._rest += data
        place = 0
        while len(self._rest) - place >= _RECORD.size:
            letter, cpu, wall, size = _RECORD.unpack_from(self._rest, place)
            if letter not in RECORDS or size > MOST_RECORD:
                raise ProtocolError("bytes that are no record")
            start = place + _RECORD.size
            if len(self._rest) < start + size:
                break
            yield letter, cpu, wall, bytes(memoryview(self._rest)[start : start + size])
            place = start + size
        del self._rest[:place]


# --- orders ----------------------------------------------------------------------------------

FORK, KILL, PRELUDE = b"F", b"K", b"P"
READY, KNOWN, ENDED = b"R", b"N", b"E"
"""Of the zygote: ready (layers), a prelude's number or -1, a program's end."""
_MOST_ORDER = 1 << 16
_NUMBER = struct.Struct("<h")
_USAGE = struct.Struct("<iQQQ")


def fork_order(prelude: int) -> bytes:
    """Fork a process; beside it go descriptors: program, suite, channel, output, input, gate."""
    return FORK + _NUMBER.pack(prelude)


def number_of(order: bytes) -> int:
    """The number in `FORK` or `KNOWN`.

    Raises:
        ProtocolError: there is none.
    """
    try:
        return int(_NUMBER.unpack(order[1:])[0])
    except struct.error:
        raise ProtocolError("an order without a number") from None


def known(number: int) -> bytes:
    """A prelude has been run, and has this number; -1: it failed."""
    return KNOWN + _NUMBER.pack(number)


def ended(status: int, cpu: float, memory_kb: int, processes: float) -> bytes:
    """A program's process has ended, and all that it left.

    Args:
        status: as `os.wait4` gives it.
        cpu: CPU seconds of the process.
        memory_kb: its peak resident memory beyond that of a fresh process.
        processes: CPU seconds of all processes that the zygote collected.
    """
    return ENDED + _USAGE.pack(status, int(1e6 * cpu), memory_kb, int(1e6 * processes))


def usage_of(order: bytes) -> tuple[int, float, int, float]:
    """Status, CPU seconds, kibibytes, CPU seconds of all in `ENDED`.

    Raises:
        ProtocolError: they are not there.
    """
    try:
        status, cpu, memory, processes = _USAGE.unpack(order[1:])
    except struct.error:
        raise ProtocolError("a report of an end that is none") from None
    return status, cpu / 1e6, memory, processes / 1e6


def send_order(end: socket.socket, order: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send an order.

    Raises:
        OSError: the other side is gone, or does not take it at once.
    """
    socket.send_fds(end, [order], list(descriptors))


def receive_order(end: socket.socket, most_descriptors: int = 0) -> tuple[bytes, list[int]]:
    """An order and its descriptors; the order is empty once the other side is gone.

    Raises:
        OSError: there is none now (the socket does not wait), or the connection broke.
    """
    try:
        order, descriptors, _, _ = socket.recv_fds(end, _MOST_ORDER, most_descriptors)
    except ConnectionError:
        return b"", []
    for fd in descriptors[most_descriptors:]:
        os.close(fd)
    return order, descriptors[:most_descriptors]
