"""Logged samples of lm-eval's code tasks (`lm_eval --log_samples`): a row per problem and filter.

`filtered_resps` holds the answers after the task's filter: for HumanEval complete programs, for
others what the model wrote. Repeats are a list in the list.
"""

from collections.abc import Iterator

from funprm.errors import RecordError
from funprm.formats.programs import Program, problem_id_of
from funprm.prompts.answers import extract_code
from funprm.records import Json, Status

_PASSED = ("pass@1", "pass_at_1")
"""What tasks call the verdict of a row's only program."""


def programs_of(row: dict[str, Json], where: str) -> Iterator[Program]:
    """The programs of a row, with the task's verdict where there is one program.

    Raises:
        RecordError: the row holds no texts, or its problem has no id.
    """
    problem = row.get("doc")
    if not isinstance(problem, dict):
        raise RecordError(f"{where}: `doc` is {problem!r:.80}, expected the problem's fields")
    problem_id = problem_id_of(problem, f"{where}: doc")
    texts = list(_texts(row["filtered_resps"], where))
    passed = next((row[name] for name in _PASSED if row.get(name) is not None), None)
    if len(texts) != 1 or passed not in (0, 1):
        passed = None
    for text in texts:
        code = extract_code(text)
        status = {None: None, 0: Status.WRONG_ANSWER, 1: Status.PASSED}[passed]
        yield Program(
            problem_id=problem_id, code=code, text="" if text == code else text, status=status
        )


def _texts(found: Json, where: str) -> Iterator[str]:
    if isinstance(found, str):
        yield found
        return
    if not isinstance(found, list) or not found:
        raise RecordError(f"{where}: `filtered_resps` holds {found!r:.80}, expected texts")
    for item in found:
        yield from _texts(item, where)
