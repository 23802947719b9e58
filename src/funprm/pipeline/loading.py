"""Problems: the stage that asks the data set."""

from collections import Counter
from collections.abc import Iterator

from funprm.errors import DataError
from funprm.pipeline.run import Run
from funprm.pipeline.stage import Outcome, Stage, derived_records, digest, listed
from funprm.prompts import question_key
from funprm.records import Json, Problem
from funprm.store import encode_line


def _load(run: Run) -> None:
    """Store the data set's problems in `problems.jsonl`."""
    name = run.config.dataset.name
    run.progress.start("load", 0)
    seen: set[str] = set()

    def checked() -> Iterator[Problem]:
        for problem in run.dataset.load():
            if problem.problem_id in seen:
                raise DataError(
                    f"data set {name!r} has two problems with the id "
                    f"{problem.problem_id!r}: ids must be unique"
                )
            seen.add(problem.problem_id)
            yield problem
            run.progress.advance()
        if not seen:
            raise DataError(f"data set {name!r} has no problem with these settings")

    run.folder.write("problems", checked())


def _hand_problems(run: Run, problems: list[Problem]) -> None:
    run.problems = {problem.problem_id: problem for problem in problems}
    run.questions = {problem.problem_id: question_key(problem) for problem in problems}


def _loaded(run: Run) -> Outcome:
    problems = run.problems.values()
    untested = [p.problem_id for p in problems if not p.hidden.has_tests]
    return Outcome(
        note=f"{len(problems)} problems",
        facts=dict(
            problems=len(problems),
            splits=dict(Counter(p.split for p in problems)),
            with_public_tests=sum(p.public is not None and p.public.has_tests for p in problems),
        ),
        missing=listed(untested, "without hidden tests: no program of theirs can be judged"),
    )


def _dataset_identity(run: Run) -> Json:
    """What determines the problems; a data set that does not say it is read to find out."""
    identity = getattr(run.dataset, "identity", None)
    return dict(identity()) if identity else digest(map(encode_line, run.dataset.load()))


load: Stage = Stage(
    name="load",
    work=_load,
    take=derived_records("problems", Problem, _hand_problems),
    tell=_loaded,
    settings=_dataset_identity,
)
"""Stores the data set's problems in `problems.jsonl`."""
