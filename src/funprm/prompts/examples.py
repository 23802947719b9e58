"""Worked examples that prompts show: two problems, for every form that a program can have."""

from dataclasses import dataclass

from funprm.prompts.texts import Form


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A problem with its program, as one block and as a chain of functions."""

    statement: str
    entry: str
    """Name of the function or method; empty for standard input."""
    starter: str
    plain: str
    chained: str


_WORDS = "{how} how many distinct words of a text occur more than once, whatever their case."
_RUNS = "{how} the length of the longest run of even numbers in a list of whole numbers{where}."

EXAMPLES: dict[Form, tuple[Example, ...]] = {
    "stdin": (
        Example(
            statement=_WORDS.format(how="Print"),
            entry="",
            starter="",
            plain="""\
import sys

words = sys.stdin.read().lower().split()
counts = {}
for word in words:
    counts[word] = counts.get(word, 0) + 1
result = 0
for count in counts.values():
    if count > 1:
        result += 1
print(result)
""",
            chained='''\
import sys
from collections import Counter


def main():
    """Print how many distinct words of the text occur more than once.

    Strategy: bring the words to a common form, then look at how often each occurs.
    Algorithm: count the words in one pass, then count the entries above one; O(n) time.
    """
    words = split_words(sys.stdin.read())
    print(count_repeated(words))


def split_words(text):
    """Return the words of the text in lower case: what stands between white space."""
    return text.lower().split()


def count_repeated(words):
    """Return how many distinct words occur at least twice, from a table of their counts."""
    return sum(1 for count in Counter(words).values() if count > 1)


if __name__ == "__main__":
    main()
''',
        ),
        Example(
            statement=_RUNS.format(how="Print", where=", which stand on one line"),
            entry="",
            starter="",
            plain="""\
numbers = list(map(int, input().split()))
best = run = 0
for number in numbers:
    if number % 2 == 0:
        run += 1
    else:
        run = 0
    best = max(best, run)
print(best)
""",
            chained='''\
def main():
    """Print the length of the longest run of even numbers, kept up in one pass."""
    numbers = list(map(int, input().split()))
    print(longest_run(numbers))


def longest_run(numbers):
    """Return the length of the longest run of even numbers."""
    best = run = 0
    for number in numbers:
        run = next_run(run, number)
        best = max(best, run)
    return best


def next_run(run, number):
    """Return the length of the run that ends with the number."""
    return run + 1 if number % 2 == 0 else 0


if __name__ == "__main__":
    main()
''',
        ),
    ),
    "function": (
        Example(
            statement=_WORDS.format(how="Write a function that returns"),
            entry="repeated_words",
            starter="",
            plain="""\
def repeated_words(text):
    words = text.lower().split()
    counts = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    result = 0
    for count in counts.values():
        if count > 1:
            result += 1
    return result
""",
            chained='''\
from collections import Counter


def repeated_words(text: str) -> int:
    """Return how many distinct words of the text occur more than once.

    Strategy: bring the words to a common form, then look at how often each occurs.
    Algorithm: count the words in one pass, then count the entries above one; O(n) time.
    """
    return count_repeated(split_words(text))


def split_words(text: str) -> list[str]:
    """Return the words of the text in lower case: what stands between white space."""
    return text.lower().split()


def count_repeated(words: list[str]) -> int:
    """Return how many distinct words occur at least twice, from a table of their counts."""
    return sum(1 for count in Counter(words).values() if count > 1)
''',
        ),
        Example(
            statement=_RUNS.format(how="Return", where=""),
            entry="longest_run",
            starter="",
            plain="""\
def longest_run(numbers):
    best = run = 0
    for number in numbers:
        if number % 2 == 0:
            run += 1
        else:
            run = 0
        best = max(best, run)
    return best
""",
            chained='''\
def longest_run(numbers):
    """Return the length of the longest run of even numbers, kept up in one pass."""
    best = run = 0
    for number in numbers:
        run = next_run(run, number)
        best = max(best, run)
    return best


def is_even(number):
    """Return whether the number is even."""
    return number % 2 == 0


def next_run(run, number):
    """Return the length of the run that ends with the number."""
    return run + 1 if is_even(number) else 0
''',
        ),
    ),
    "method": (
        Example(
            statement=_WORDS.format(how="Return"),
            entry="repeatedWords",
            starter="class Solution:\n    def repeatedWords(self, text: str) -> int:\n",
            plain="""\
class Solution:
    def repeatedWords(self, text: str) -> int:
        words = text.lower().split()
        counts = {}
        for word in words:
            counts[word] = counts.get(word, 0) + 1
        result = 0
        for count in counts.values():
            if count > 1:
                result += 1
        return result
""",
            chained='''\
from collections import Counter


class Solution:
    def repeatedWords(self, text: str) -> int:
        """Return how many distinct words of the text occur more than once.

        Strategy: bring the words to a common form, then look at how often each occurs.
        Algorithm: count the words in one pass, then count the entries above one; O(n) time.
        """
        return self.count_repeated(self.split_words(text))

    def split_words(self, text: str) -> list[str]:
        """Return the words of the text in lower case: what stands between white space."""
        return text.lower().split()

    def count_repeated(self, words: list[str]) -> int:
        """Return how many distinct words occur at least twice, from a table of their counts."""
        return sum(1 for count in Counter(words).values() if count > 1)
''',
        ),
        Example(
            statement=_RUNS.format(how="Return", where=""),
            entry="longestRun",
            starter="class Solution:\n    def longestRun(self, numbers: list[int]) -> int:\n",
            plain="""\
class Solution:
    def longestRun(self, numbers: list[int]) -> int:
        best = run = 0
        for number in numbers:
            if number % 2 == 0:
                run += 1
            else:
                run = 0
            best = max(best, run)
        return best
""",
            chained='''\
class Solution:
    def longestRun(self, numbers: list[int]) -> int:
        """Return the length of the longest run of even numbers, kept up in one pass."""
        best = run = 0
        for number in numbers:
            run = self.next_run(run, number)
            best = max(best, run)
        return best

    def next_run(self, run: int, number: int) -> int:
        """Return the length of the run that ends with the number."""
        return run + 1 if self.is_even(number) else 0

    def is_even(self, number: int) -> bool:
        """Return whether the number is even."""
        return number % 2 == 0
''',
        ),
    ),
}
"""Worked examples; the first of a form is shown by `{{form}}`, all by `{{example}}`."""
