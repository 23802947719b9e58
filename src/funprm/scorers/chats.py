"""A program as the chat that reward models of others read: a question and its answer."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from funprm.errors import ConfigError
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
