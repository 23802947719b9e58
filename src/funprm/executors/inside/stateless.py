"""Whether the cases of a program may share one process: only if it is proven that they can.

A process per case costs more than most cases. Sharing must not let one case see what another left.
The proof has two parts. The compiled program shows that it reaches nothing that could tell on it or
carry something over: every name that it uses is its own, or a harmless part of the language, or on
the list of what it may use of a module; no name leads to frames, modules' insides, files or
processes. So it cannot reach the code that checks the second part either: after each case, what it
can reach of the library is compared with what it was. Standard library only.
"""

from __future__ import annotations

import builtins
import opcode
import operator
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

_ALL = "*"
_ALLOWED: dict[str, str] = {
    "__future__": _ALL,
    "abc": "ABC ABCMeta abstractmethod",
    "array": "array",
    "bisect": _ALL,
    "cmath": _ALL,
    "collections": "Counter OrderedDict abc defaultdict deque namedtuple",
    "collections.abc": _ALL,
    "copy": "copy deepcopy",
    "dataclasses": "asdict astuple dataclass field replace",
    "datetime": "MAXYEAR MINYEAR UTC date datetime time timedelta timezone",
    "enum": "Enum Flag IntEnum IntFlag auto unique",
    "fractions": "Fraction",
    "functools": "cache cached_property cmp_to_key lru_cache partial reduce total_ordering",
    "heapq": "heapify heappop heappush heappushpop heapreplace merge nlargest nsmallest"
    " _heapify_max _heappop_max _heapreplace_max",
    "io": "BytesIO StringIO",
    "itertools": _ALL,
    "math": _ALL,
    "numbers": "Complex Integral Number Rational Real",
    "operator": "abs add and_ concat contains countOf eq floordiv ge getitem gt iadd iand imul"
    " index indexOf inv invert ior isub itemgetter ixor le lshift lt mod mul ne neg not_ or_ pos"
    " pow rshift sub truediv truth xor",
    "random": "betavariate choice choices expovariate gauss getrandbits randint random randrange"
    " sample seed shuffle triangular uniform",
    "re": "A ASCII DOTALL I IGNORECASE M MULTILINE Match Pattern S VERBOSE X compile error escape"
    " findall finditer fullmatch match search split sub subn",
    "statistics": "fmean geometric_mean harmonic_mean mean median median_high median_low mode"
    " multimode pstdev pvariance stdev variance",
    "string": "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits printable"
    " punctuation whitespace",
    "sys": "exit float_info getrecursionlimit getsizeof maxsize setrecursionlimit stderr"
    " stdin stdout version version_info",
    "time": "monotonic monotonic_ns perf_counter perf_counter_ns process_time sleep time time_ns",
    "typing": "AbstractSet Any AnyStr Callable ClassVar Collection DefaultDict Deque Dict Final"
    " FrozenSet Generator Generic Hashable Iterable Iterator List Literal Mapping"
    " MutableMapping MutableSequence MutableSet NamedTuple NewType NoReturn Optional Protocol"
    " Reversible Self Sequence Set Sized Text Tuple Type TypeAlias TypeVar Union cast final",
}
"""What a program may use of which modules. None of it has state that a program can change but
attributes, and those are compared."""
_LEADING_ELSEWHERE = frozenset(
    "FileIO _CHUNK_SIZE breakpoint compile copyright credits delattr detach eval exec fileno"
    " getattr globals hasattr help license locals mro open open_code raw reconfigure register seek"
    " seekable setattr vars with_traceback".split()
)
_INSIDES = ("ag_", "co_", "cr_", "f_", "gi_", "tb_")
"""How attributes of frames, code and generators begin."""
_SPECIAL = frozenset(
    "abs add and annotations bool call contains doc enter eq exit floordiv ge getitem gt hash iadd"
    " init invert isub iter le len lt main matmul mod module mul name ne neg next or pos post_init"
    " pow qualname radd repr reversed rmul rsub setitem slots str sub truediv xor future".split()
)
_CHANGING = frozenset("abstractmethod dataclass final total_ordering unique".split())
"""Library functions that set attributes of what they are given."""
_PLAIN = (int, float, complex, str, bytes, tuple, type(None))
_IMPORT, _EXTENDED, _CONSTANT, _MATCH = (
    opcode.opmap[n] for n in ("IMPORT_NAME", "EXTENDED_ARG", "LOAD_CONST", "MATCH_CLASS")
)
_STORES = frozenset(opcode.opmap[n] for n in ("STORE_ATTR", "DELETE_ATTR"))
_ATTRIBUTES = frozenset(
    opcode.opmap[n]
    for n in ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR")
    if n in opcode.opmap
)
_SHIFTED = {opcode.opmap["LOAD_ATTR"]: 1} if sys.version_info >= (3, 12) else {}
"""Opcodes whose argument holds something else below the name."""
_OF_CLASSES = frozenset(f"__{n}__" for n in "annotations doc module name qualname slots".split())
"""Special names that stand in class bodies and modules, but are no business on other objects."""
_GENERATORS = 0x20 | 0x80 | 0x200
_GLOBAL_STORES = frozenset(opcode.opmap[n] for n in ("STORE_GLOBAL", "DELETE_GLOBAL"))
HEAP_TYPE = 1 << 9
_is = operator.is_  # ours, whatever a program makes of the module
flags_of = type.__dict__["__flags__"].__get__
dict_of = type.__dict__["__dict__"].__get__


_allowed: dict[str, frozenset[str]] = {}
_refused: dict[str, frozenset[str]] = {}
_homes: dict[int, str] = {}
_private: frozenset[str] = frozenset()


def warm() -> None:
    """Settle once, before any program is there, what depends on the interpreter alone."""
    global _private
    private: set[str] = set()
    for module, names in _ALLOWED.items():
        __import__(module)
        own = vars(sys.modules[module])
        public = frozenset(n for n in own if not n.startswith("_"))
        _allowed[module] = public if names == _ALL else frozenset(names.split())
        special = {n for n in own if n.startswith("__") and n.endswith("__")}  # see _is_known
        _refused[module] = frozenset(own) - _allowed[module] - special
        _homes.update((id(own[name]), module) for name in _allowed[module] & own.keys())
        for kind in {kind for value in own.values() for kind in _kinds(value)}:
            private.update(n for n in dict_of(kind) if n.startswith("_") and n[1:2] != "_")
    _private = frozenset(private)


class Proof:
    """What a compiled program can reach.

    Attributes:
        holds: its cases may share a process as long as `Library` finds nothing changed.
        stores: it sets or deletes attributes, of whatever.
        rebinds: it binds global names anew from within functions.
        modules: modules that it uses, or uses parts of.
    """

    def __init__(self, code: types.CodeType, prelude: Mapping[str, Any]) -> None:
        """Look at a program.

        Args:
            code: the program.
            prelude: names bound before it.
        """
        parts = list(_parts(code))
        self._names = {name for part in parts for name in part.co_names}
        operations = {operation for part in parts for operation in part.co_code[::2]}
        imports = [found for part in parts for found in _imports(part)]
        given = {n: prelude[n] for n in self._names & prelude.keys() if not _is_data(n, prelude[n])}
        bound = {v.__name__ for v in given.values() if type(v) is types.ModuleType}
        for module, names in imports:
            if names is None or "*" in names:
                bound |= {module, module.partition(".")[0]}
        self.modules = bound | {module for module, _ in imports}
        self.modules |= set(map(_home, given.values()))
        self.stores = bool(operations & _STORES or self._names & _CHANGING)
        self.rebinds = bool(operations & _GLOBAL_STORES)
        self.holds = (
            _MATCH not in operations
            and self.modules <= _ALLOWED.keys()
            and not self._names & _LEADING_ELSEWHERE
            and all(map(_is_known, self._names))
            and not self._names & _private
            and all(_allowed[module].issuperset(names or ()) for module, names in imports)
            and not any(self._names & _refused[module] for module in bound)
            and not any(map(_may_linger, parts))
            and not any(map(_touches_special, parts))
        )

    def uses(self, name: str) -> bool:
        """Whether it uses a name, or any name of a module."""
        return name in self._names or name in self.modules


def _parts(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object and all inside of it."""
    yield code
    for constant in code.co_consts:
        if type(constant) is types.CodeType:
            yield from _parts(constant)


def _imports(code: types.CodeType) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """Modules that code imports, with the names it takes of them; None: the module itself.

    Where that cannot be told the name of the module is none that is allowed.
    """
    operations, arguments = code.co_code[::2], code.co_code[1::2]
    place = operations.find(_IMPORT)
    while place >= 0:
        before = operations[place - 2 : place]
        if _EXTENDED in before or before[1:] != bytes([_CONSTANT]):
            yield "?", None
            return
        yield code.co_names[arguments[place]], code.co_consts[arguments[place - 1]]
        place = operations.find(_IMPORT, place + 1)


def _touches_special(code: types.CodeType) -> bool:
    """Code loads or sets special names of objects that are not for it."""
    if not _OF_CLASSES.intersection(code.co_names):
        return False
    high = 0
    for operation, argument in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        argument |= high
        high = argument << 8 if operation == _EXTENDED else 0
        if operation and operation in _ATTRIBUTES:
            name = code.co_names[argument >> _SHIFTED.get(operation, 0)]
            if name in _OF_CLASSES:
                return True
    return False


def _may_linger(code: types.CodeType) -> bool:
    """A generator that may do something when it is collected, which may be in a later case."""
    if code.co_name == "<genexpr>":
        return False
    return bool(code.co_flags & _GENERATORS and code.co_exceptiontable)


def _is_known(name: str) -> bool:
    """Not a special name, or a harmless one."""
    if name.startswith("__") and name.endswith("__") and name.strip("_"):
        return name.strip("_") in _SPECIAL
    return not name.startswith(_INSIDES) or not _is_inside(name)


def _is_inside(name: str) -> bool:
    return any(hasattr(kind, name) for kind in _KINDS_INSIDE)


_KINDS_INSIDE = (
    types.AsyncGeneratorType,
    types.CodeType,
    types.CoroutineType,
    types.FrameType,
    types.GeneratorType,
    types.TracebackType,
)


def _is_data(name: str, value: Any) -> bool:
    """Plain data, a stream, or what the language itself calls so."""
    built_in = vars(builtins).get(name, _PLAIN) is value
    return built_in or type(value) in _PLAIN or any(value is stream for stream in streams())


def _home(value: Any) -> str:
    """The module that a value of the prelude is an allowed part of; else something unknown."""
    return value.__name__ if type(value) is types.ModuleType else _homes.get(id(value), "?")


def _kinds(value: Any) -> set[type]:
    """The classes of an object whose attributes can be set."""
    kinds = set(type(value).__mro__)
    for cls in (value, getattr(value, "__origin__", None)):
        if isinstance(cls, type):
            kinds.update(cls.__mro__)
    return {kind for kind in kinds if flags_of(kind) & HEAP_TYPE}


def streams() -> tuple[Any, ...]:
    """The standard streams."""
    return sys.stdin, sys.stdout, sys.stderr


class Library:
    """What a program can reach of the library, to be compared with what it becomes.

    Objects are held, not just their ids: a freed object's address may be used again.
    """

    def __init__(self, proof: Proof) -> None:
        """Note what is there before the first case."""
        self._limit = sys.getrecursionlimit()
        self._places: list[Mapping[str, Any]] = []
        if proof.stores:
            for stream in streams()[1:]:
                self._places += [vars(stream), vars(stream.buffer)]
            for quitter in (vars(builtins).get(n) for n in ("exit", "quit")):
                self._add(quitter)
            for name in proof.modules:
                self._add_module(name)
        self._before = self._now()

    def _add_module(self, name: str) -> None:
        own = vars(sys.modules[name])
        self._places.append(own)
        for value in own.values():
            self._add(value)

    def _add(self, value: Any) -> None:
        """Note the attributes of an object and of its class, if they can be set."""
        if not isinstance(value, type | types.ModuleType):
            own = getattr(value, "__dict__", None)
            if type(own) is dict:
                self._places.append(own)
        self._places += [dict_of(kind) for kind in _kinds(value)]

    def _now(self) -> list[list[Any]]:
        return [[*place, *place.values()] for place in self._places]

    def unchanged(self, *, limit: bool = True) -> bool:
        """Whether all is as it was.

        Args:
            limit: the recursion limit counts, too.
        """
        if limit and sys.getrecursionlimit() != self._limit:
            return False
        return all(map(_same, self._before, self._now()))


def _same(before: list[Any], after: list[Any]) -> bool:
    return len(before) == len(after) and all(map(_is, before, after))
