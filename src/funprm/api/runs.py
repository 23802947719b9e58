"""Verbs on runs, laboratories and files; those of the command line that need a file or two."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from funprm.api.glue import Settings, Shown, folder_of, path_of, shown_by
from funprm.config import load_config
from funprm.pipeline import stages
from funprm.pipeline.reporting import RunResult
from funprm.pipeline.run import Run
from funprm.shards import Shard

if TYPE_CHECKING:
    from funprm.commands.check_dataset import Check
    from funprm.commands.check_prompt import PromptCheck
    from funprm.commands.compare import Comparison
    from funprm.commands.grade import Grades
    from funprm.commands.judge import SuiteName
    from funprm.commands.judged import Judged
    from funprm.commands.merge import Merged
    from funprm.commands.plan import Plan
    from funprm.commands.quality import QualityTable
    from funprm.commands.robustness import Robustness
    from funprm.records import Split


def run(
    config: str | Path, settings: Settings | None = None, *, progress: Shown = False
) -> RunResult:
    """All stages of a configuration, from where it stands; the result prints its table.

    Args:
        config: a run's TOML file.
        settings: in place of the file's, such as `{"generate.n": 4, "output": "runs/other"}`.
        progress: see the module.

    Raises:
        FunprmError: a setting is wrong, or a stage cannot go on; what is done is kept.
    """
    with shown_by(progress) as shown:
        return stages.run_all(load_config(Path(config), settings), shown)


def run_stage(
    config: str | Path,
    stage: str,
    settings: Settings | None = None,
    *,
    shard: str = "",
    progress: Shown = False,
) -> None:
    """One stage of a configuration, after those before it: `load`, `generate`, `segment`, ...

    Args:
        config: a run's TOML file.
        stage: its name.
        settings: in place of the file's.
        shard: only this part of its problems, such as `2/4`; of `generate`, `rollout`, `execute`
            and `score`. Empty: all.
        progress: see the module.

    Raises:
        ConfigError: a setting is wrong, or there is no such stage.
        StoreError: the stage before it is not complete.
    """
    part = Shard.parse(shard) if shard else None
    with shown_by(progress) as shown:
        stages.run_stage(load_config(Path(config), settings), shown, stage, part)


def plan(
    config: str | Path,
    settings: Settings | None = None,
    *,
    pilot: bool = False,
    problems: int = 20,
    progress: Shown = False,
) -> "Plan":
    """What a run will take, as a pilot of a few problems shows; the result prints its table.

    Args:
        config: a run's TOML file.
        settings: in place of the file's.
        pilot: run the pilot, or what is missing of it; its records are part of the run.
        problems: of the pilot, of each split.
        progress: see the module.
    """
    from funprm.commands import plan as work

    with shown_by(progress) as shown:
        wanted = load_config(Path(config), settings)
        return work.plan(wanted, shown, pilot=pilot, per_split=problems)


def merge(folders: Sequence[str | Path], output: str | Path | None = None) -> "Merged":
    """Bring the records of run folders, and of their shards, into one.

    Args:
        folders: of one configuration.
        output: a folder, new or one of these; None: the first of them.
    """
    from funprm.commands import merge as work

    return work.merge([Path(folder) for folder in folders], path_of(output))


def demo(
    *,
    quick: bool = False,
    seed: int = 0,
    output: str | Path | None = None,
    progress: Shown = False,
) -> RunResult:
    """The whole method on the mini benchmark with the tiny model.

    Args:
        quick: a smaller size, within 90 seconds.
        seed: of problems, sampling and training.
        output: the run folder; None: `runs/demo` or `runs/demo-quick`.
        progress: see the module.
    """
    name = "demo-quick" if quick else "demo"
    folder = str(output or f"runs/{name}" + (f"-{seed}" if seed else ""))
    settings = {"output": folder, "seed": seed, "dataset.seed": seed}
    return run(stages.demo_config(name), settings, progress=progress)


def run_lab(
    config: str | Path | None = None,
    settings: Settings | None = None,
    *,
    quick: bool = False,
    progress: Shown = False,
) -> str:
    """Corrupt rewards in known ways, and compare what mends them: the text of the report.

    Args:
        config: TOML file; None: the shipped one.
        settings: in place of the file's, such as `{"seeds": 2, "output": "runs/lab"}`.
        quick: without a file, a tiny size.
        progress: see the module.
    """
    from funprm.lab import config as lab
    from funprm.lab.run import run_lab as work

    path = path_of(config) or lab.shipped("lab-quick" if quick else "lab")
    with shown_by(progress) as shown:
        return work(lab.load_lab(path, settings), shown)


def judge_file(  # noqa: PLR0913  (half of them have defaults)
    problems: str | Path,
    programs: str | Path,
    out: str | Path,
    *,
    suite: "SuiteName" = "hidden",
    settings: Settings | None = None,
    warn: Callable[[str], object] = lambda line: warnings.warn(line, stacklevel=2),
    progress: Shown = False,
) -> "Judged":
    """Judge a file of programs by the tests of their problems, as `funprm judge` does.

    Args:
        problems: a data set's name, a run's TOML file, or a file of problems.
        programs: rows with `problem_id` and `code` (docs/judging.md names the others).
        out: verdicts as JSON lines; those that still hold are kept.
        suite: `hidden` or `public`.
        settings: such as `{"dataset.path": "data", "executor.workers": 2}`.
        warn: told in one line of what cannot be used.
        progress: see the module.
    """
    from funprm.commands import judge as work
    from funprm.commands.problems import given

    source = given(str(problems), settings or {})
    with shown_by(progress) as shown:
        return work.judge(source, Path(programs), Path(out), suite=suite, warn=warn, progress=shown)


def grade(  # noqa: PLR0913  (most have defaults)
    files: Sequence[str | Path],
    benchmark: str | Path,
    *,
    out: str | Path | None = None,
    tries: Sequence[int] = (),
    suite: "SuiteName" = "hidden",
    settings: Settings | None = None,
    warn: Callable[[str], object] = lambda line: warnings.warn(line, stacklevel=2),
    progress: Shown = False,
) -> "Grades":
    """Judge finished outputs of other tools, and compare the files; the result prints its table.

    Args:
        files: outputs of LiveCodeBench's runner, EvalPlus, BigCodeBench, or of this package.
        benchmark: a data set's name, a run's TOML file, or a file of problems.
        out: a folder that keeps verdicts, so that an interrupted call goes on; None: none.
        tries: the k of pass@k; empty: 1, 5, 10 and 100, as far as there are programs.
        suite: `hidden` or `public`.
        settings: such as `{"dataset.path": "data", "executor.workers": 2}`.
        warn: told in one line of what cannot be used.
        progress: see the module.
    """
    from funprm.commands import grade as work
    from funprm.commands.problems import given

    source = given(str(benchmark), settings or {})
    paths = [Path(file) for file in files]
    with shown_by(progress) as shown:
        return work.grade(
            source, paths, out=path_of(out), tries=tries, suite=suite, warn=warn, progress=shown
        )


def compare(runs: Sequence[str | Path], selectors: Sequence[str] = ()) -> "Comparison":
    """Choices of several runs against each other; the result prints its table.

    Args:
        runs: folders, or `FOLDER@SELECTOR`; all others are compared with the first.
        selectors: only these of all runs; empty: all that they share.

    Raises:
        InputError: a folder holds no choices, or (ConfigError) a selector is not in a run.
        DataError: no problem is common to all.
    """
    from funprm.commands import compare as work

    return work.compare([str(run) for run in runs], selectors)


def check_scorer(
    config: str | Path,
    settings: Settings | None = None,
    *,
    n: int = 200,
    edits: Sequence[str] = (),
    progress: Shown = False,
) -> "Robustness":
    """How far a run's scores move when its candidates are edited, and do the same as before.

    Args:
        config: a run's TOML file; its programs are judged, and its models trained.
        settings: in place of the file's.
        n: programs, about.
        edits: names of edits; empty: all.
        progress: see the module.

    Raises:
        StoreError: the run is not as far.
    """
    from funprm.commands.robustness import robustness

    with shown_by(progress) as shown:
        return robustness(load_config(Path(config), settings), shown, programs=n, edits=edits)


def quality(
    files: Sequence[str | Path],
    *,
    by: str = "",
    where: Mapping[str, str] | None = None,
    everything: bool = False,
) -> "QualityTable":
    """How readable programs are, and how groups of them differ; the result prints its table.

    Args:
        files: rows with a problem's id, `code` and `passed`; several files are groups.
        by: a field whose values make groups, such as `model`.
        where: values that fields of a program must have.
        everything: count programs that fail, too.
    """
    from funprm.commands import quality as work

    paths = [Path(file) for file in files]
    return work.quality(paths, by=by, where=where, everything=everything)


def check_dataset(
    dataset: str | Path, settings: Settings | None = None, *, progress: Shown = False
) -> "Check":
    """Judge a data set's reference solutions, and stubs that must fail.

    Args:
        dataset: a data set's name, a run's TOML file, or a file of problems.
        settings: such as `{"dataset.path": "data"}`.
        progress: see the module.
    """
    from funprm.commands import check_dataset as work

    with shown_by(progress) as shown:
        return work.check_dataset(str(dataset), settings or {}, shown)


def check_prompt(  # noqa: PLR0913  (all but the problems have defaults)
    problems: str | Path,
    *,
    styles: Sequence[str] = (),
    n: int = 20,
    split: "Split | None" = None,
    settings: Settings | None = None,
    output: str | Path | None = None,
    progress: Shown = False,
) -> "PromptCheck":
    """Try prompt styles with a policy on a few problems: which one suits the model?

    Args:
        problems: a data set's name, a run's TOML file, or a file of problems.
        styles: names, or files with templates; `plain` is always tried. Empty: all built-in ones.
        n: how many problems; they are spread over all.
        split: only of these problems; choose a prompt on `train`.
        settings: such as `{"policy.model": "runs/model", "dataset.path": "data"}`.
        output: a folder that keeps the answers, so that an interrupted call goes on; None: none.
        progress: see the module.
    """
    from funprm.commands import check_prompt as work

    with folder_of(output) as folder, shown_by(progress) as shown:
        return work.check_prompt(
            str(problems), settings or {}, folder, shown, styles=styles, n=n, split=split
        )


def export(  # noqa: PLR0913  (most have defaults)
    config: str | Path,
    format: str,
    out: str | Path,
    *,
    split: str = "",
    selector: str = "",
    model: str = "",
    settings: Settings | None = None,
    progress: Shown = False,
) -> dict[str, int]:
    """A run's programs or rewards in other tools' forms: the numbers of rows and left out programs.

    Args:
        config: the run's TOML file.
        format: livecodebench, livecodebench-custom, bigcodebench, evalplus, stepwise or programs.
        out: a file that ends in .json, .jsonl or .parquet.
        split: of which problems; empty: test, of stepwise train.
        selector: only the program that it chose, such as `score:funprm`.
        model: of stepwise, with this model's corrected rewards.
        settings: in place of the file's.
        progress: see the module.
    """
    from funprm.commands import export as work

    asked = work.Wanted(format=format, out=Path(out), split=split, selector=selector, model=model)
    with shown_by(progress) as shown, Run(load_config(Path(config), settings), shown) as opened:
        return work.export(opened, asked)


def import_programs(
    source: str | Path,
    out: str | Path,
    *,
    verdicts: str | Path | None = None,
    problems: str = "",
    settings: Settings | None = None,
) -> dict[str, int]:
    """Programs of other tools as generations, to replay or judge: counts by their verdicts.

    Args:
        source: outputs of LiveCodeBench, BigCodeBench or EvalPlus.
        out: generations as JSON lines.
        verdicts: also write the other tool's verdicts there.
        problems: for bare completions: a data set's name, or a file of problems.
        settings: of that data set.
    """
    from funprm.commands import import_programs as work

    places = Path(source), Path(out)
    return work.import_programs(
        *places, verdicts=path_of(verdicts), problems=problems, settings=settings
    )


def validate_problems(path: str | Path) -> str:
    """Read a file of one's own problems: a line that counts what they have.

    Raises:
        InputError: the first problem that cannot be used.
    """
    from funprm.commands.validate_problems import validate_problems as work

    return work(str(path))
