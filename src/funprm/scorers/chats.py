"""A program as the chat that reward models of others read: a question and its answer."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from funprm.errors import ConfigError, ModelError
from funprm.records import Json, LabelledProgram

QUESTION = "{{statement}}"
FENCED = "```python\n{{code}}\n```"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramChat:
    """The texts around a statement and a program.

    Raises:
        ConfigError: a text lacks its placeholder.
    """

    question: str = QUESTION
    answer: str = FENCED
    system: str = ""
    """Empty: there is no such turn."""

    def __post_init__(self) -> None:
        for name, placeholder in (("question", "{{statement}}"), ("answer", "{{code}}")):
            if getattr(self, name).count(placeholder) != 1:
                raise ConfigError(f"{name} = {getattr(self, name)!r}: expected one {placeholder}")

    def identity(self) -> Mapping[str, Json]:
        """The texts."""
        return asdict(self)

    def asking(self, program: LabelledProgram) -> list[dict[str, str]]:
        """The turns before the answer."""
        turns = [{"role": "system", "content": self.system}] if self.system else []
        question = self.question.replace("{{statement}}", program.statement)
        return [*turns, {"role": "user", "content": question}]

    def of(self, program: LabelledProgram, step_end: str = "") -> list[dict[str, str]]:
        """All turns.

        Args:
            program: what is scored.
            step_end: a text that ends each step.
        """
        code = "".join(f"{step}{step_end}" for step in program.steps).strip("\n")
        answer = self.answer.replace("{{code}}", code)
        return [*self.asking(program), {"role": "assistant", "content": answer}]


def render(
    tokenizer: Any,  # noqa: ANN401  (the library's tokenizers are untyped)
    turns: list[dict[str, str]],
    *,
    answered: bool = True,
) -> str:
    """A chat as the text that its model reads.

    Args:
        tokenizer: with the model's chat template.
        turns: the chat.
        answered: False: the text ends where the answer begins.

    Raises:
        ModelError: there is no template, or it does not take these turns.
    """
    try:
        text: str = tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=not answered
        )
    except Exception as error:  # templates raise what they want
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"the chat template of {tokenizer.name_or_path!r} cannot be used ({reason}): expected "
            f"a tokenizer with one that takes the turns {', '.join(t['role'] for t in turns)}"
        ) from error
    return text
