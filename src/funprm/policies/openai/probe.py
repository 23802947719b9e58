"""How a server continues a prefix: asked once, with the cheapest calls that show it."""

from collections.abc import Mapping

from funprm.errors import PolicyError
from funprm.policies.openai.errors import explain
from funprm.policies.openai.prefixes import PREFILL, Way
from funprm.policies.openai.requests import PATHS, Call, Endpoint, Service
from funprm.policies.openai.responses import read_replies
from funprm.policies.openai.transport import RejectedError, Transport, UnansweredError
from funprm.records import Json, key_of

_BROKEN_OFF = "Monday, Tuesday, Wednesday, Thurs"
"""It breaks off inside a word: only a true continuation begins with the word's end."""

_PREFILL_BODY: dict[str, Json] = {
    "messages": [
        {"role": "user", "content": "List the days of the week, separated by commas."},
        {"role": "assistant", "content": _BROKEN_OFF},
    ],
    "temperature": 0.0,
    "max_tokens": 4,
    **PREFILL,
}

_COMPLETIONS_BODY: dict[str, Json] = {
    "prompt": _BROKEN_OFF,
    "temperature": 0.0,
    "max_tokens": 1,
}


async def find_way(service: Service, transport: Transport) -> Way:
    """The best way that the server has; remembered by the policy.

    One call of a few tokens asks for the end of a word that the final message breaks off;
    where the answer is not that, a second one asks for raw completions.

    Raises:
        PolicyError: the server cannot be asked (key, model, address), or did not answer.
    """
    dialect = service.dialect
    if dialect.way is None:
        if (await _try(service, transport, "chat", _PREFILL_BODY)).startswith("day"):
            dialect.way = "prefill"
        elif await _try(service, transport, "completions", _COMPLETIONS_BODY):
            dialect.way = "completions"
        else:
            dialect.way = "instruction"
    return dialect.way


async def _try(
    service: Service, transport: Transport, endpoint: Endpoint, body: Mapping[str, Json]
) -> str:
    """The text of the answer; empty where the server refuses such a call."""
    form = service.form
    call = Call(
        path=PATHS[endpoint],
        body={"model": form.model, **body, **form.extra_body},
        name=key_of("probe", form.model, endpoint),
    )
    try:
        answer = await service.ask(transport, call)
    except RejectedError as error:
        fatal = endpoint == "chat" or error.status in (401, 403)
        if fatal and (policy_error := await explain(error, transport, form.model)):
            raise policy_error from None
        return ""
    except UnansweredError as error:
        raise PolicyError(
            f"{transport.base_url} did not answer when asked how it continues a prefix "
            f"({error}): run again later, or set continuation"
        ) from None
    (reply,) = read_replies(answer.body, 1)
    tokens = reply.prompt_tokens, reply.completion_tokens
    service.statistics.spend(*tokens, service.prices.cost(*tokens))
    return reply.text
