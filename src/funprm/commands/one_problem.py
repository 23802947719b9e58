"""One problem and its programs in memory: judged, scored and selected without a run folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar, overload

from funprm.commands.solve import OpenedPrm, OpenedScorer, best_without_model
from funprm.commands.trained_model import cut_for, model_folder
from funprm.config import RolloutConfig
from funprm.errors import DataError, missing_package
from funprm.evaluation.aggregation import AGGREGATORS, aggregator
from funprm.evaluation.selection import PUBLIC, Candidate, Selector, parse_selector
from funprm.interfaces import Executor, Job, Scorer
from funprm.pipeline.selecting import candidate, share
from funprm.prompts import render_statement
from funprm.python_source import parsed
from funprm.records import Generation, LabelledProgram, Problem, Status, Suite, Verdict, key_of
from funprm.steps import find_steps, step_texts

Program = str | Generation
"""A program's text, or the record of one that a policy wrote."""
P = TypeVar("P", bound=Program)


def code_of(program: Program) -> str:
    """The text of a program."""
    return program if isinstance(program, str) else program.code


# --- judge -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Judgement:
    """What the tests of a problem say of one program."""

    public: Verdict | None = None
    """By the public tests, all of which were run."""
    hidden: Verdict | None = None
    """By all tests, until the first that failed; where they are the public ones, that verdict."""
    probe: Verdict | None = None
    """What it answers to inputs without answers, for `majority`."""

    @property
    def verdict(self) -> Verdict:
        """The one that decides: by all tests, or by the public ones where there are no others."""
        found = self.hidden or self.public
        assert found is not None
        return found

    @property
    def passed(self) -> bool | None:
        """Whether it passes all tests; None: it could not be judged."""
        return self.verdict.passed

    @property
    def status(self) -> Status:
        """`passed`, or how it failed first."""
        return self.verdict.status

    @property
    def detail(self) -> str:
        """An excerpt: the error, or input, expected and given output."""
        return self.verdict.detail

    @property
    def public_passed(self) -> float | None:
        """Share of the public tests that it passes, in [0, 1]; None: there are none."""
        return share(self.public)

    def __repr__(self) -> str:
        verdict, detail = self.verdict, " ".join(self.detail.split())
        tests = ""
        if verdict.results:
            good = sum(result.status is Status.PASSED for result in verdict.results)
            tests = f", {good} of {verdict.total} tests"
        return f"Judgement({verdict.status.value}{tests}{f': {detail[:120]}' if detail else ''})"


def judge(problem: Problem, programs: Sequence[Program], executor: Executor) -> list[Judgement]:
    """Judge programs by all suites of a problem; equal programs are judged once.

    Raises:
        DataError: the problem has no tests.
        ExecutorError: the judge cannot work.
    """
    suites = {"public": problem.public, "probe": problem.probe, "hidden": problem.hidden}
    wanted = {name: s for name, s in suites.items() if s is not None and s.has_tests}
    if not wanted.keys() - {"probe"}:
        raise DataError(
            f"problem {problem.problem_id!r} has no tests to judge by: give Problem.of examples or "
            "hidden tests"
        )
    same = wanted.get("hidden") == wanted.get("public")
    if same:
        del wanted["hidden"]
    codes = {code: str(n) for n, code in enumerate(dict.fromkeys(map(code_of, programs)))}
    found = {v.key: v for v in executor.judge(_jobs(codes, wanted))}

    def judgement(code: str) -> Judgement:
        by = {name: found.get(f"{name} {codes[code]}") for name in wanted}
        return Judgement(**by, **({"hidden": by["public"]} if same else {}))

    return [judgement(code_of(program)) for program in programs]


def _jobs(codes: dict[str, str], suites: dict[str, Suite]) -> Iterator[Job]:
    for code, number in codes.items():
        for name, suite in suites.items():
            stop = name == "hidden"
            key = f"{name} {number}"
            yield Job(key=key, code=code, suite=suite, stop_at_first_failure=stop)


# --- score -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class FunctionScores(Sequence[float]):
    """A program's score per function, a sequence of numbers in [0, 1] that knows their names.

    >>> scores = FunctionScores(("solve", "double"), (0.25, 0.75))
    >>> scores
    FunctionScores(solve 0.25, double 0.75: mean 0.50)
    >>> list(scores), scores.score
    ([0.25, 0.75], 0.5)
    """

    names: tuple[str, ...]
    """The function of each step; empty text: a program without one."""
    values: tuple[float, ...]
    """Empty: the program did not fit the model's input."""
    aggregator: str = "mean"
    """How the model is read, as in `select.aggregator`."""

    @property
    def score(self) -> float | None:
        """The program's score; None: it did not fit."""
        return aggregator(self.aggregator)(self.values) if self.values else None

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[float]: ...
    def __getitem__(self, index: int | slice) -> float | Sequence[float]:
        return self.values[index]

    def __repr__(self) -> str:
        if self.score is None:
            return f"FunctionScores({', '.join(self.names)}: did not fit)"
        pairs = zip(self.names, self.values, strict=True)
        shown = ", ".join(f"{name or '(no function)'} {value:.2f}" for name, value in pairs)
        return f"FunctionScores({shown}: {self.aggregator} {self.score:.2f})"


class ProcessRewardModel:
    """A trained reward model that scores every function of a program.

    Args:
        name: a folder as training writes it (`runs/demo/prm/funprm/model`), or a hub name.

    Raises:
        ModelError: there is no such model, or it is none of this package.
        MissingPackageError: torch is not installed.
    """

    def __init__(self, name: str | Path) -> None:
        try:
            self.folder = model_folder(str(name))
            self.opened = OpenedPrm(str(self.folder))
        except ModuleNotFoundError as error:
            raise missing_package("a reward model", error) from error
        self.aggregator = self.opened.reading.aggregator_for("mean")

    def score(self, problem: Problem, programs: Sequence[Program]) -> list[FunctionScores]:
        """The scores of programs for a problem, in their order."""
        statement = render_statement(problem)
        return self.score_pairs([(statement, code_of(program)) for program in programs])

    def score_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[FunctionScores]:
        """The scores of programs, each with the statement as `render_statement` writes it."""
        cuts = [self.cut(code) for _, code in pairs]
        labelled = [
            LabelledProgram(
                generation=str(number),
                problem_id="",
                statement=statement,
                steps=step_texts(code, ends),
                prefixes=(),
            )
            for number, ((statement, code), (ends, _)) in enumerate(zip(pairs, cuts, strict=True))
        ]
        found = self.opened.prm.score(labelled)
        return [
            FunctionScores(names, values, self.aggregator)
            for (_, names), values in zip(cuts, found, strict=True)
        ]

    def score_texts(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """The scores at the markers of texts that are rendered already; empty: too long."""
        return self.opened.prm.score_texts(texts)

    def cut(self, code: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Ends and names of a program's steps, as the model was trained on them."""
        return cut_for(self.opened.reading, code)

    def __repr__(self) -> str:
        return f"ProcessRewardModel({str(self.folder)!r})"


class ProgramScorer:
    """A scorer of others, with the verb of a reward model: `score(problem, programs)`.

    Args:
        scorer: a part of the group `funprm.scorers`.
        name: of its kind.
    """

    def __init__(self, scorer: Scorer, name: str = "scorer") -> None:
        self.opened = OpenedScorer(scorer, name)

    def score(self, problem: Problem, programs: Sequence[Program]) -> list[FunctionScores]:
        """The scores of programs for a problem, in their order: per function, or one alone.

        Empty where a program does not fit, or where there was a fault.
        """
        cuts = [find_steps(code_of(p), max_steps=RolloutConfig().max_steps) for p in programs]
        labelled = [
            LabelledProgram(
                generation=str(number),
                problem_id=problem.problem_id,
                statement=render_statement(problem),
                steps=step_texts(code_of(program), ends),
                prefixes=(),
            )
            for number, (program, (ends, _)) in enumerate(zip(programs, cuts, strict=True))
        ]
        how = self.opened.aggregator_for("mean")
        return [
            FunctionScores(_names(names, values or ()), tuple(values or ()), how)
            for (_, names), values in zip(cuts, self.opened.scorer.score(labelled), strict=True)
        ]

    def __repr__(self) -> str:
        return f"ProgramScorer({self.opened.name!r})"


def _names(names: tuple[str, ...], values: Sequence[float]) -> tuple[str, ...]:
    return ("whole program",) if len(values) == 1 < len(names) else names


# --- select ----------------------------------------------------------------------------------

Scores = Sequence[FunctionScores] | Sequence[Sequence[float]]
_MODEL = "given"
_NEEDS = {
    "score": "scores=prm.score(problem, programs)",
    "majority": "verdicts= of a problem with probes",
    "self_certainty": "programs of a policy that measures it",
    "likelihood": "programs of a policy that gives log-probabilities",
    PUBLIC: "verdicts=judge(problem, programs) of a problem with public tests",
    "oracle": "verdicts=judge(problem, programs)",
}


def select(
    programs: Sequence[P],
    scores: Scores | None = None,
    verdicts: Sequence[Judgement] | None = None,
    by: str = "",
    seed: int = 0,
) -> P:
    """The program that a selector chooses; arguments as in `api.select`, errors as in `choose`."""
    return programs[choose(programs, scores, verdicts, by, seed)[0]]


def choose(
    programs: Sequence[Program],
    scores: Scores | None = None,
    verdicts: Sequence[Judgement] | None = None,
    by: str = "",
    seed: int = 0,
) -> tuple[int, str]:
    """The position of the program that a selector chooses, and the selector's name.

    Raises:
        DataError: no programs, lengths differ, or what the selector needs is not given.
        ConfigError: an unknown selector.
    """
    pool = _pool(programs, scores, verdicts)
    if not pool:
        raise DataError("no programs to choose from: expected at least one")
    usable = [i for i, known in enumerate(pool) if parsed(known.code).body] or range(len(pool))
    candidates = [pool[i] for i in usable]
    selector = _selector(by or _best(candidates, scores is not None), scores)
    _check_known(selector, candidates)
    ties = Random(key_of("select", selector.name, seed, [c.code for c in candidates]))
    return usable[selector(candidates, ties)], selector.name.replace(f"score:{_MODEL}", "score")


def _pool(
    programs: Sequence[Program], scores: Scores | None, verdicts: Sequence[Judgement] | None
) -> list[Candidate]:
    for name, values in (("scores", scores), ("verdicts", verdicts)):
        if values is not None and len(values) != len(programs):
            raise DataError(f"{len(values)} {name} of {len(programs)} programs: expected as many")
    pool = []
    for index, program in enumerate(programs):
        if isinstance(program, str):
            program = Generation(key="", problem_id="", index=index, code=program)
        known = {_MODEL: tuple(scores[index])} if scores is not None else {}
        found = verdicts[index] if verdicts is not None else Judgement()
        pool.append(candidate(program, known, found.hidden, found.public, found.probe))
    return pool


def _best(candidates: Sequence[Candidate], scored: bool) -> str:
    """The selector for all that is known, as `funprm solve` chooses it."""
    best = "score" if scored else best_without_model(candidates)
    tested = any(c.public_passed is not None for c in candidates)
    return f"{PUBLIC}+{best}" if tested else best


def _selector(by: str, scores: Scores | None) -> Selector:
    """A selector by name; `score` and `score:AGGREGATOR` stand for the scores that are given."""
    first = scores[0] if scores else ()
    default = first.aggregator if isinstance(first, FunctionScores) else "mean"
    public, plus, base = by.rpartition("+")
    if base.partition(":")[0] == "score":
        base = f"score:{_MODEL}{base.removeprefix('score')}"
    return parse_selector(f"{public}{plus}{base}", AGGREGATORS, default=default)


def _check_known(selector: Selector, candidates: Sequence[Candidate]) -> None:
    """Refuse to choose at random where something else was asked for."""
    base = selector.name.removeprefix(f"{PUBLIC}+").partition(":")[0]
    missing = [] if selector.informed(candidates) else [base]
    if selector.filtered and all(c.public_passed is None for c in candidates):
        missing.append(PUBLIC)
    if missing:
        needed = " and ".join(_NEEDS[name] for name in missing)
        by = selector.name.replace(f"score:{_MODEL}", "score")
        raise DataError(f"nothing is known of the programs to choose by {by!r}: give {needed}")
