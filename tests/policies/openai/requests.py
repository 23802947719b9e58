"""Problems, requests and policies for the tests of the API policy."""

from typing import Any

from funprm.interfaces import Request
from funprm.policies.openai.policy import OpenAIPolicy
from funprm.records import Problem, Suite, key_of


def problem(name: str = "p") -> Problem:
    return Problem(
        key=key_of(name), problem_id=name, statement=f"Solve {name}.", hidden=Suite(kind="stdin")
    )


def requests(count: int, *, problems: int = 1, prefix: str = "") -> list[Request]:
    """`count` requests per problem, neighbours share the problem."""
    return [
        Request(
            key=key_of("request", number, index),
            problem=problem(f"p{number}"),
            index=index,
            seed=1000 * number + index,
            prefix=prefix,
        )
        for number in range(problems)
        for index in range(count)
    ]


def policy(url: str | list[str], **settings: Any) -> OpenAIPolicy:
    return OpenAIPolicy(**{"model": "tiny", "base_url": url, "timeout": 5.0, **settings})
