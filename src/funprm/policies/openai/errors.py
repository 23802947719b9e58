"""What a server's refusal means for the user, in one line."""

import os

from funprm.errors import PolicyError, nearest
from funprm.policies.openai.transport import RejectedError, Transport

_MODELS_SHOWN = 8


def refuses_prefill(error: RejectedError) -> bool:
    """Whether the server knows no final message that it is to continue."""
    return error.status in (400, 422) and "continue_final_message" in error.message


def concerns_content(error: RejectedError) -> bool:
    """Whether a content filter refused this one prompt."""
    text = f"{error.code} {error.message}".lower()
    return error.status in (400, 403) and (
        "content_filter" in text or "content_policy" in text or "content management policy" in text
    )


async def explain(
    error: RejectedError, transport: Transport, model: str, path: str = "/chat/completions"
) -> PolicyError | None:
    """The error of a refusal that all calls to a path would meet; None where it concerns one."""
    base_url, variable = transport.base_url, transport.key_variable
    match error.status:
        case 401 | 403:
            state = "holds a key that it refuses" if os.environ.get(variable) else "is not set"
            detail = f": {error.message}" if error.status == 403 and error.message else ""
            return PolicyError(
                f"{base_url} denies access (HTTP {error.status}{detail}): the environment "
                f"variable {variable} {state}; set it to a valid key"
            )
        case 402 | 429:
            return PolicyError(f"{base_url} wants payment or has no quota left ({error})")
        case 404:
            offered = await transport.models()
            return PolicyError(_unknown(offered, base_url, model, error, path))
        case _ if 300 <= error.status < 400 or error.status in (405, 501):
            return PolicyError(
                f"{base_url} does not answer such calls ({error}): base_url must be the address "
                f"below which {path} lies"
            )
        case 400 if model in error.message:
            # Some servers refuse an unknown model so; its name stands in other refusals, too.
            offered = await transport.models()
            known = not offered or model in offered
            return None if known else PolicyError(_unknown(offered, base_url, model, error, path))
        case _:
            return None


def _unknown(offered: list[str], base_url: str, model: str, error: RejectedError, path: str) -> str:
    """What a 404 means: a wrong model name, or a wrong address."""
    if model in offered:
        return f"{base_url} offers {model!r}, but not this way of calling it ({error})"
    if not offered:
        return (
            f"{base_url} knows no such model or address ({error}): check model={model!r} and "
            f"base_url, which must be the address below which {path} lies"
        )
    return f"{base_url} offers no model {model!r}: {nearest(model, offered, _MODELS_SHOWN)}"
