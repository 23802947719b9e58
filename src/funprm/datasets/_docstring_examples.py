r"""Examples in a problem's text to test cases.

Read are calls with literal arguments, followed by what they give in one of the notations that
HumanEval's docstrings use (`>>> f(1)` and the value below; `f(1) == 2`, `=> 2`, `-> 2`,
`returns 2`, ...), sentences such as "For x = 1 the output should be 2", and "Input:" over
"Output:". An example that is not understood, or that JSON cannot represent, is left out: a
missing test costs less than a wrong one.

>>> examples("Adds.\n>>> f(1, [2])\n3\nf(2, []) => 2", "f", ["x", "ys"])
(Case(input='1\n[2]', output='3'), Case(input='2\n[]', output='2'))
"""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from funprm.python_source import expression, parsed
from funprm.records import Case

_ARROW = re.compile(
    r"""[ \t]* (?:\#[ \t]*)?
    (?: ==> | => | -> | == | = | ➞ | → | ⇒ | returns?\b | should\ return | \n(?![ \t]*(?:>>>|\n)) )
    [ \t]*""",
    re.VERBOSE,
)
_FOR = re.compile(
    r"""\b(?:for|if)[ \t]+ (?P<given>\w+[ \t]*=.*?)
    [ \t,]+ (?:the\ )?(?:output|result|function|it)\ (?:should\ be|should\ return|is) [ \t]*""",
    re.VERBOSE | re.IGNORECASE,
)
_INPUT_OUTPUT = re.compile(
    r"""\binput[ \t]*:[ \t]*(?P<given>[^\n]+)\n\s*output[ \t]*:[ \t]*""", re.IGNORECASE
)
_LAST_EQUATION = re.compile(r"[^\n=]*(?:=[^\n=]*)*=[ \t]*")
_AFTER_VALUE = re.compile(r"[ \t.;,]*(?:$|\n|\#|\(|because|since|,)")
_NO_LITERAL = (ValueError, TypeError, MemoryError, RecursionError)
_MAX_LINES = 8
"""Of a literal that goes over several lines."""
_WORDS = {"true": True, "false": False, "none": None, "null": None}


def examples(text: str, entry_point: str, parameters: Sequence[str]) -> tuple[Case, ...]:
    """The examples of a text, as cases of a `functional` suite, each input once.

    Args:
        text: a docstring or statement.
        entry_point: name of the function that is called.
        parameters: names of its parameters, to put named arguments in order.
    """
    found: dict[str, Case] = {}
    for arguments, rest in [*_calls(text, entry_point), *_sentences(text)]:
        inputs = encode_arguments(arguments, parameters)
        value = _value(rest)
        if inputs is not None and value is not None and (output := to_json(value[0], strict=False)):
            found.setdefault(inputs, Case(input=inputs, output=output))
    return tuple(found.values())


def example_inputs(text: str, entry_point: str) -> tuple[tuple[Any, ...], ...]:
    """The positional arguments of all calls in a text, also where no value is given."""
    return tuple(tuple(a) for a, _ in _calls(text, entry_point) if isinstance(a, list))


def encode_arguments(
    arguments: list[Any] | dict[str, Any], parameters: Sequence[str]
) -> str | None:
    """Arguments as the input of a `functional` case; None where JSON cannot represent them."""
    if isinstance(arguments, dict):
        if list(arguments) != list(parameters):
            return None
        arguments = list(arguments.values())
    lines = [to_json(argument) for argument in arguments]
    return None if None in lines or not lines else "\n".join(line for line in lines if line)


def decode_arguments(text: str) -> list[Any]:
    r"""The arguments in the input of a `functional` case: one JSON value per line.

    Only a line feed ends a line: a JSON string may hold what `str.splitlines` also breaks at.

    >>> decode_arguments('[1]\n"a\u2028b"\n')
    [[1], 'a\u2028b']

    Raises:
        ValueError: a line is no JSON.
    """
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def to_json(value: Any, *, strict: bool = True) -> str | None:  # noqa: ANN401  (any literal)
    """A Python literal as JSON, or None where it would not come back as it is.

    Args:
        value: what to encode.
        strict: whether tuples are refused. An output may hold them: they are compared as lists.
    """
    if not _is_json(value, strict=strict):
        return None
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return None


def _is_json(value: Any, *, strict: bool) -> bool:  # noqa: ANN401
    if isinstance(value, list) or (isinstance(value, tuple) and not strict):
        return all(_is_json(item, strict=strict) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(
            _is_json(item, strict=strict) for item in value.values()
        )
    return value is None or isinstance(value, bool | int | float | str)


def _calls(text: str, entry_point: str) -> Iterator[tuple[list[Any] | dict[str, Any], str]]:
    """Arguments of the calls in a text, with the text behind each."""
    for match in re.finditer(rf"(?<![\w.]){re.escape(entry_point)}\(", text):
        for end in (m.end() for m in re.compile(r"\)").finditer(text, match.end())):
            if end - match.start() > 1_000 or text.count("\n", match.start(), end) > _MAX_LINES:
                break
            arguments = call_arguments(text[match.start() : end])
            if arguments is not None:
                yield arguments, text[end:]
                break


def call_arguments(source: str) -> list[Any] | dict[str, Any] | None:
    """The literal arguments of a call: all positional, or all named; else None."""
    call = expression(source)
    if not isinstance(call, ast.Call) or (call.args and call.keywords):
        return None
    try:
        if call.keywords:
            return {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
        return [ast.literal_eval(argument) for argument in call.args]
    except _NO_LITERAL:
        return None


def tested_inputs(source: str, function: str) -> list[list[Any]]:
    r"""The literal arguments with which the code of tests calls a function.

    >>> tested_inputs("assert f(1, (2,)) == 3\ninputs = [[4, 5]]", "f")
    [[4, 5], [1, (2,)]]

    Args:
        source: assertions, or a script of EvalPlus, which lists arguments under `inputs`.
        function: its name.
    """
    found = []
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function:
            arguments = call_arguments(ast.unparse(node))
            found += [arguments] if isinstance(arguments, list) else []
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "inputs":
            found += _literal_lists(node.value)
    return found


def _literal_lists(node: ast.expr) -> list[list[Any]]:
    try:
        value = ast.literal_eval(node)
    except _NO_LITERAL:
        return []
    return [item for item in value if isinstance(item, list)] if isinstance(value, list) else []


def _sentences(text: str) -> Iterator[tuple[list[Any] | dict[str, Any], str]]:
    """Arguments given in "For x = 1 ..." and "Input: ... Output: ...", with the text behind."""
    for pattern in (_FOR, _INPUT_OUTPUT):
        for match in pattern.finditer(text):
            arguments = call_arguments(f"f({match['given'].strip()})")
            if arguments is not None:
                yield arguments, f"= {text[match.end() :]}"


def _value(rest: str) -> tuple[Any] | None:
    """The literal that follows an arrow, in a tuple (it may be None)."""
    arrow = _ARROW.match(rest)
    if arrow is None:
        return None
    rest = rest[arrow.end() :]
    if value := _literal_at_start(rest):
        return value
    equation = _LAST_EQUATION.match(rest)
    return _literal_at_start(rest[equation.end() :]) if equation else None


def _literal_at_start(text: str) -> tuple[Any] | None:
    """The longest literal that the text begins with, if nothing strange follows it."""
    if (word := re.match(r"[A-Za-z]+", text)) and word[0].lower() in _WORDS:
        return (_WORDS[word[0].lower()],)
    lines = text.split("\n")[:_MAX_LINES]
    ends = [i for i in range(1, len("\n".join(lines)) + 1) if _AFTER_VALUE.match(text, i)]
    for end in sorted(ends, reverse=True):
        node = expression(text[:end].strip().rstrip(".,;"))
        try:
            if node is not None:
                return (ast.literal_eval(node),)
        except _NO_LITERAL:
            continue
    return None
