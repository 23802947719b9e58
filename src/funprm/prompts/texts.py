"""The texts that prompts are made of: templates, tasks and rules."""

from typing import Literal

Form = Literal["stdin", "function", "method"]
"""What a program is: it reads standard input, defines a function, or a method of a class."""

_PLAIN = """\
{{task}}

# Problem

{{statement}}

{{given_code}}

# Answer

{{answer}}"""

TEMPLATES = {
    "plain": _PLAIN,
    "chain_of_function": "{{example}}\n{{user}}\n"
    + _PLAIN.replace("# Answer", "# Form of the program\n\n{{rules}}\n\n# Answer"),
    "refactored": f"""\
{_PLAIN}
{{{{next}}}}
{_PLAIN}
{{{{assistant}}}}
{{{{program}}}}
{{{{user}}}}
Now rewrite your program so that it is made of several small functions, each with a docstring of \
one line. {{{{keep}}}} {{{{answer}}}}""",
}
"""The built-in templates by style: where to start from for one's own."""

TASK: dict[Form, str] = {
    "stdin": (
        "Write a Python program that solves the problem. It reads the input from standard input "
        "and prints the answer to standard output."
    ),
    "function": (
        "Write a Python program that solves the problem. It defines the function {entry}, which "
        "is called with the arguments and returns the answer; it reads no input and prints "
        "nothing unless the problem asks for it."
    ),
    "method": (
        "Write a Python program that solves the problem. It defines `class Solution` with the "
        "method {entry}, which is called with the arguments and returns the answer; it reads no "
        "input and prints nothing."
    ),
}

KEEP: dict[Form, str] = {
    "stdin": (
        "It reads and prints what it does now; `main` comes first and calls the other functions, "
        "which follow it; the last line calls `main`."
    ),
    "function": (
        "{entry} keeps its name, arguments and results, and calls the other functions, which "
        "follow it."
    ),
    "method": (
        "{entry} keeps its name, arguments and results, and calls the other functions on `self`: "
        "they are methods of the same class, and follow it."
    ),
}
"""What a program that is rewritten must keep."""

RULES = """\
Compose the program of functions, each of which does one thing:
1. The first function is the high-level one that solves the problem. Its docstring states the \
strategy and the algorithm; its body reads as an outline that calls helpers.
2. The helpers follow it, in the order in which they are needed. The docstring of each states \
its own logic: what it takes, what it returns, and how.
3. Logic that is repeated, or can be separated, becomes a helper of its own.
4. Nothing is nested: no function inside a function, no class inside a function.
5. {place}"""

PLACE: dict[Form, str] = {
    "stdin": (
        "The first function is `main`; the program ends with a call of it under "
        '`if __name__ == "__main__":`, and nothing else but imports and constants stands at the '
        "top level."
    ),
    "function": (
        "Helpers are functions at the top level, after {entry}. Functions that the given code "
        "already contains stay where they are."
    ),
    "method": "Helpers are methods of the same class, after {entry}, and are called on `self`.",
}

EXAMPLE_INTRODUCTION = (
    "This program for another problem (how many words of a text occur more than once) shows the "
    "form only:"
)

STARTER_RULE = (
    "The program begins with this code; keep its names, signatures and docstrings as they are:"
)

ANSWER_RULE = (
    "Answer with the complete program, imports included, in one Markdown code block "
    "(```python ... ```)."
)
