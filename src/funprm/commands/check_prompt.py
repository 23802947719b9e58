"""Which prompt suits a model? What `funprm check-prompt` does.

Each style asks for one program for each of a few problems, in a run of its own: the same stages,
records and keys as any run, so that an interrupted call goes on where it was.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from funprm.commands.problems import Chosen, checked, given, read_problems
from funprm.commands.solve import execute
from funprm.config import RunConfig, load_config, read_template
from funprm.errors import ConfigError, DataError, nearest
from funprm.evaluation.statistics import mcnemar
from funprm.interfaces import Progress
from funprm.pipeline.judging import VerdictIndex
from funprm.pipeline.loading import load
from funprm.pipeline.run import Run
from funprm.pipeline.sampling import generate, segment
from funprm.prompts import STYLES, example_names
from funprm.records import Generation, Json, Problem, Split

PLAIN = "plain"
"""The style that others are compared with."""
_MARGIN = 0.03
"""Share of problems that a style may lose against `plain`; but always one problem."""
_MODULAR = 0.5
"""Functions per program that a style must add to be worth its name."""
_DEFAULTS: Mapping[str, Any] = {"policy": {"name": "huggingface"}}


@dataclass(frozen=True, kw_only=True)
class StyleResult:
    """What a style's programs are like."""

    style: str
    passed: tuple[bool, ...]
    """By problem; a problem without an answer counts as failed."""
    functions: float
    """Mean number of functions that close a step, per program."""
    modular: float
    """Share of programs with two or more."""
    copied: int
    """Programs that define functions of the prompt's example."""
    cut_off: int
    refused: int
    empty: int
    drafts_kept: int
    """Programs that are the form before the last: the rewritten one failed, or was the same."""
    not_judged: int
    tokens: float
    """Mean number of completion tokens of an answer."""

    @property
    def rate(self) -> float:
        """Share of problems that are solved."""
        return sum(self.passed) / len(self.passed)


@dataclass(frozen=True, kw_only=True)
class PromptCheck:
    """All styles' results on the same problems, `plain` first."""

    results: tuple[StyleResult, ...]

    @property
    def advice(self) -> str:
        """The style for this model: a line."""
        plain, *others = self.results
        good = [result for result in others if self._is_good(result)]
        if not good:
            return 'prompt = "plain": ' + (
                "no other style makes programs of more functions without losing accuracy"
                if others
                else "no other style was asked for"
            )
        best = max(good, key=lambda result: (sum(result.passed), result.functions))
        return f'prompt = "{best.style}": {self._comparison(best, plain)}'

    def _is_good(self, result: StyleResult) -> bool:
        plain = self.results[0]
        lost = sum(plain.passed) - sum(result.passed)
        return (
            lost <= max(1, _MARGIN * len(plain.passed))
            and result.functions >= plain.functions + _MODULAR
        )

    def _comparison(self, result: StyleResult, plain: StyleResult) -> str:
        test = mcnemar(plain.passed, result.passed)
        return (
            f"{result.functions:.1f} functions per program in place of {plain.functions:.1f}, "
            f"{sum(result.passed)} of {len(plain.passed)} solved in place of {sum(plain.passed)} "
            f"({test.only_first} lost, {test.only_second} won, exact test p = {test.p:.2g})"
        )

    def json(self) -> dict[str, Json]:
        """All of it."""
        styles = [{**asdict(r), "passed": list(r.passed), "rate": r.rate} for r in self.results]
        return {"styles": styles, "advice": self.advice}

    def text(self) -> str:
        """A table, and the advice."""
        rows = [_HEADER, *map(_cells, self.results)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        lines += [f"{r.style}: {r.not_judged} not judged" for r in self.results if r.not_judged]
        return "\n".join([*lines, f"advice: {self.advice}"])

    def __repr__(self) -> str:
        return self.text()


_HEADER = (
    *("style", "solved", "functions", "2 or more", "copied", "cut off", "refused", "empty"),
    *("kept draft", "tokens"),
)


def _cells(result: StyleResult) -> tuple[str, ...]:
    counts = result.copied, result.cut_off, result.refused, result.empty, result.drafts_kept
    return (
        result.style,
        f"{result.rate:.1%}",
        f"{result.functions:.1f}",
        f"{result.modular:.0%}",
        *map(str, counts),
        f"{result.tokens:.0f}",
    )


def check_prompt(  # noqa: PLR0913  (half of them have defaults)
    name: str,
    settings: Mapping[str, Any],
    output: str,
    progress: Progress,
    *,
    styles: Sequence[str] = (),
    n: int = 20,
    split: Split | None = None,
) -> PromptCheck:
    """Try prompt styles with a policy on a few problems.

    Args:
        name: the name of a registered data set, a run's TOML file, or a file of problems.
        settings: by dotted key (`policy.model`, `dataset.path`).
        output: folder of the runs, one per style.
        progress: where it is shown how far this is.
        styles: names, or files with templates; `plain` is always tried. Empty: all with a chat.
        n: how many problems; they are spread over the data set.
        split: only of these; None: of all.

    Raises:
        InputError: no such data set, file, style, or a setting is wrong.
        PolicyError: the policy cannot answer.
        ExecutorError: this machine cannot judge.
    """
    problems = _chosen(name, settings, n, split)
    wanted = list(dict.fromkeys([PLAIN, *(styles or [s for s in STYLES if s != "statement"])]))
    labels = [Path(style).stem for style in wanted]
    if len(set(labels)) < len(labels):
        raise ConfigError(f"two styles have one name: {', '.join(labels)}")
    tried = [
        _tried(_config(name, settings, f"{output}/{label}", style), problems, label, progress)
        for label, style in zip(labels, wanted, strict=True)
    ]
    return PromptCheck(results=tuple(tried))


def _chosen(name: str, settings: Mapping[str, Any], n: int, split: Split | None) -> list[Problem]:
    """Problems with tests, evenly spread, without what is known of them beside hidden tests."""
    if n < 1:
        raise ConfigError(f"n = {n} is out of range: expected at least 1")
    source = given(name, {k: v for k, v in settings.items() if not k.startswith("policy.")})
    usable = [
        problem
        for problem in checked(read_problems(source))
        if problem.hidden.has_tests and split in (None, problem.split)
    ]
    if not usable:
        raise DataError(f"{name} has no problem with tests" + (f" in {split}" if split else ""))
    n = min(n, len(usable))
    # Of split `train`, so that only the hidden tests are run; policies do not see the split.
    return [replace(usable[i * len(usable) // n], split="train") for i in range(n)]


def _config(name: str, settings: Mapping[str, Any], output: str, style: str) -> RunConfig:
    path = Path(name) if name.endswith(".toml") else None
    fixed = {
        "output": output,
        "title": "funprm check-prompt",
        "dataset": {"name": "check-prompt"},
        "generate.n": 1,
        "rollout.k": 0,
        "models": {},
    }
    config = load_config(path, {**settings, **fixed}, _DEFAULTS)
    policy = config.needed_policy()
    options = {**policy.options, "prompt": _prompt(style)}
    return replace(config, policy=replace(policy, options=options))


def _prompt(style: str) -> str:
    if style in STYLES:
        return style
    if not Path(style).expanduser().is_file():
        raise ConfigError(f"no style and no file {style!r}: {nearest(style, STYLES)}")
    return read_template(style, "style")


def _tried(
    config: RunConfig, problems: Sequence[Problem], label: str, progress: Progress
) -> StyleResult:
    with Run(config, progress, Chosen(problems)) as run:
        for stage in (load, generate, segment):
            stage(run)
        run.rollouts, run.verdicts, run.scores = {}, {}, {}
        execute(run)
        return _counted(run, label, config.needed_policy().options["prompt"])


def _counted(run: Run, label: str, style: str) -> StyleResult:
    answers = {generation.problem_id: generation for generation in run.generations.values()}
    verdict_index = VerdictIndex(run)
    verdicts = {
        name: verdict_index.verdict(run.problems[name], "hidden", answer.code)
        for name, answer in answers.items()
    }
    passed = {name: verdict.passed for name, verdict in verdicts.items() if verdict}
    functions = [sum(map(bool, run.steps[answer.key].names)) for answer in answers.values()]
    ends = Counter(answer.finish for answer in answers.values())
    count = max(1, len(answers))
    return StyleResult(
        style=label,
        passed=tuple(passed.get(name) is True for name in run.problems),
        functions=sum(functions) / count,
        modular=sum(number > 1 for number in functions) / count,
        copied=sum(_copied(run.problems[n], style, answer.code) for n, answer in answers.items()),
        cut_off=ends["length"],
        refused=ends["refused"],
        empty=ends["empty"],
        drafts_kept=sum(_kept(answer) for answer in answers.values()),
        not_judged=sum(passed.get(name) is None for name in answers),
        tokens=sum(answer.completion_tokens for answer in answers.values()) / count,
    )


def _copied(problem: Problem, style: str, code: str) -> bool:
    """Whether a program defines a function of the example that was shown."""
    return any(f"def {name}(" in code for name in example_names(problem, style))


def _kept(answer: Generation) -> bool:
    return bool(answer.drafts) and answer.code == answer.drafts[-1]
