"""Reward models for its_hub: `BestOfN(OutcomeModel(prm))`, `BeamSearch(sg, StepModel(prm), ...)`.

its_hub calls `score` and `ascore` of any object; nothing of it is imported here.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from funprm.commands.one_problem import ProcessRewardModel
from funprm.prompts.answers import extract_code

Message = Any
"""A mapping, or an object, with `role` and `content`."""


class _Model:
    """Scores programs; one that does not fit the model's input gets 0, the lowest score."""

    def __init__(self, prm: ProcessRewardModel | str) -> None:
        self._prm = prm if isinstance(prm, ProcessRewardModel) else ProcessRewardModel(prm)

    def _scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The scores of answers to statements, in one pass."""
        found = self._prm.score_pairs([(said, extract_code(text)) for said, text in pairs])
        return [scores.score or 0.0 for scores in found]


class OutcomeModel(_Model):
    """Scores conversations that end with a program: its_hub's outcome reward model.

    Args:
        prm: a reward model, a folder as training writes it, or a hub name.
    """

    def score(self, messages: Any, **_: object) -> Any:  # noqa: ANN401  (as its_hub has it)
        """A number in [0, 1] for a conversation, or one for each of several."""
        several = isinstance(messages, list) and bool(messages) and isinstance(messages[0], list)
        chats = [_messages(chat) for chat in (messages if several else [messages])]
        found = self._scores([(_statement(chat), _text(chat[-1])) for chat in chats])
        return found if several else found[0]

    async def ascore(self, messages: Any, orchestrator: object = None, **_: object) -> Any:  # noqa: ANN401
        """As `score`, without keeping the event loop waiting."""
        return await asyncio.to_thread(self.score, messages)


class StepModel(_Model):
    """Scores beginnings of programs: its_hub's process reward model, for searches by steps.

    Args:
        prm: a reward model, a folder as training writes it, or a hub name.
    """

    def score(self, prompt_or_messages: Any, steps: Sequence[str]) -> list[float]:  # noqa: ANN401
        """A number in [0, 1] for each beginning of an answer to one prompt."""
        statement = _statement(_messages(prompt_or_messages))
        return self._scores([(statement, text) for text in steps])

    async def ascore(self, prompt_or_messages: Any, steps: Sequence[str]) -> list[float]:  # noqa: ANN401
        """As `score`, without keeping the event loop waiting."""
        return await asyncio.to_thread(self.score, prompt_or_messages, steps)


def _messages(chat: Any) -> Sequence[Message]:  # noqa: ANN401
    if isinstance(chat, str):
        return [{"role": "user", "content": chat}]
    found: Sequence[Message] = getattr(chat, "to_chat_messages", lambda: chat)()
    return found


def _statement(messages: Sequence[Message]) -> str:
    """What the user said."""
    said = [_text(message) for message in messages if _of(message, "role") == "user"]
    return "\n\n".join(said).strip()


def _text(message: Message) -> str:
    content = _of(message, "content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _of(message: Message, name: str) -> Any:  # noqa: ANN401
    return message.get(name) if isinstance(message, dict) else getattr(message, name)
