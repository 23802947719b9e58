"""Parts that do as they are told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from funprm.interfaces import Request, Sample
from funprm.records import Json


@dataclass(eq=False)
class ScriptedPolicy:
    """Answers with programs that are given, in turn; implements `interfaces.Policy`.

    >>> policy = ScriptedPolicy(["print(1)"])
    >>> policy.identity()
    {'policy': 'scripted', 'programs': ['print(1)']}
    """

    whole_batches: ClassVar[bool] = False
    unanswered_is_final: ClassVar[bool] = True

    programs: Sequence[str] | Mapping[str, Sequence[str]]
    """For all problems, or by `problem_id`; a problem without any is not answered."""
    batch: int = 64

    def identity(self) -> Mapping[str, Json]:
        """The programs."""
        given = self.programs
        programs = dict(given) if isinstance(given, Mapping) else list(given)
        return {"policy": "scripted", "programs": programs}

    def sample(self, requests: Sequence[Request]) -> Iterator[Sample]:
        """The program with the request's number, counted round; prefixes change nothing in it."""
        for request in requests:
            programs = self._programs(request.problem.problem_id)
            if programs:
                code = programs[request.index % len(programs)]
                yield Sample(
                    key=request.key,
                    code=code,
                    finish="stop" if code.strip() else "empty",
                    kept=code.startswith(request.prefix),
                )

    def _programs(self, problem_id: str) -> Sequence[str]:
        given = self.programs
        return given.get(problem_id, ()) if isinstance(given, Mapping) else given
