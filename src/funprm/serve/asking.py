"""From a request of a chat protocol to what best-of-N is asked."""

import json
from collections.abc import Iterable, Mapping, Sequence

from funprm.datasets.single import problem_of
from funprm.errors import ConfigError, DataError
from funprm.records import Json, Problem
from funprm.serve.best_of_n import Asked
from funprm.serve.errors import HttpError
from funprm.serve.schemas import (
    ChatRequest,
    Content,
    MessagesRequest,
    PublicTest,
    Selection,
    text_of,
)
from funprm.serve.settings import ServeSettings
from funprm.serve.upstream import Wanted

_NOT_KNOWN = frozenset(
    "tools tool_choice functions function_call parallel_tool_calls audio modalities "
    "web_search_options prediction thinking mcp_servers container".split()
)
"""Fields of the protocols that change what an answer is, and that best-of-N of programs cannot
keep."""
_OWN = frozenset(Selection.model_fields) | {"model", "messages", "n", "seed"}
_OF_STREAMS = {"stream", "stream_options"}


def of_chat(request: ChatRequest, settings: ServeSettings) -> Asked:
    """What a request of OpenAI's protocol asks.

    Raises:
        HttpError: it has a field that best-of-N cannot keep.
        InputError: the tests cannot be used.
    """
    fields = _fields(request, _OWN | _OF_STREAMS)
    messages = [message.model_dump(exclude_unset=True) for message in request.messages]
    said = [message.content for message in request.messages if message.role == "user"]
    choices = request.n or 1
    return Asked(
        wanted=Wanted(
            model=request.model,
            messages=messages,
            problem=_problem(request, said, settings),
            count=request.budget or max(settings.n, choices),
            seed=request.seed,
            options=fields,
        ),
        selector=request.selector,
        choices=choices,
    )


def of_messages(request: MessagesRequest, settings: ServeSettings) -> Asked:
    """What a request of Anthropic's protocol asks; errors as in `of_chat`."""
    options = _fields(request, _OWN | {"stream", "system", "metadata", "stop_sequences"})
    if request.stop_sequences:
        options["stop"] = request.stop_sequences
    messages: list[dict[str, Json]] = []
    if request.system:
        messages.append({"role": "system", "content": text_of(request.system)})
    messages += [{"role": m.role, "content": text_of(m.content)} for m in request.messages]
    said = [message.content for message in request.messages if message.role == "user"]
    return Asked(
        wanted=Wanted(
            model=request.model,
            messages=messages,
            problem=_problem(request, said, settings),
            count=request.budget or settings.n,
            options=options,
        ),
        selector=request.selector,
    )


def _fields(request: ChatRequest | MessagesRequest, own: Iterable[str]) -> dict[str, Json]:
    """The fields that go to the upstream as they are."""
    fields = request.model_dump(exclude_unset=True, exclude_none=True, exclude=set(own))
    for name in fields.keys() & _NOT_KNOWN:
        if fields[name]:
            message = f"{name} is not supported: answers are programs"
            raise HttpError(400, message, code="unsupported_parameter", param=name)
        del fields[name]
    try:
        json.dumps(fields, allow_nan=False)
    except ValueError as error:
        raise HttpError(400, f"a field is no JSON: {error}", code="invalid_json") from error
    return fields


def _problem(request: Selection, said: Sequence[Content], settings: ServeSettings) -> Problem:
    statement = request.statement or "\n\n".join(map(text_of, said))
    fields = fields_of(
        request.tests, request.entry_point, request.seconds, settings, request.starter_code
    )
    return problem_with(statement, fields)


def fields_of(
    tests: Sequence[PublicTest],
    entry_point: str,
    seconds: float | None,
    settings: ServeSettings,
    starter_code: str = "",
) -> dict[str, Json]:
    """The fields of a problem that a request gives.

    Raises:
        ConfigError: more seconds than the server allows.
    """
    if (seconds or 0) > settings.max_seconds:
        raise ConfigError(
            f"seconds is {seconds:g}: this server allows at most {settings.max_seconds:g}"
        )
    limit = {} if seconds is None else {"seconds": seconds}
    return {
        "tests": [test.model_dump() for test in tests],
        "entry_point": entry_point,
        "starter_code": starter_code,
        **limit,
    }


def problem_with(statement: str, fields: Mapping[str, Json]) -> Problem:
    """A problem with the tests of a request, all of them public.

    Raises:
        InputError: the statement is empty, or the tests cannot be used.
    """
    try:
        return problem_of(statement, fields, "tests")
    except (ValueError, OverflowError, RecursionError) as error:  # no value that JSON can hold
        raise DataError(f"tests: a value cannot be used: {error}") from error
