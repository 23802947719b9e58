"""The problems that a verb is given: a data set's name, a run's file, or a file of problems."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from funprm import registry
from funprm.config import ComponentConfig, load_config
from funprm.datasets.jsonl import read_problem
from funprm.errors import ConfigError, DataError, InputError, nearest
from funprm.records import Json, Problem, key_of
from funprm.row_files import decoded, raw_rows


@dataclass(frozen=True, kw_only=True)
class Given:
    """Where problems come from, and which judge goes with them."""

    name: str
    """What the user gave."""
    dataset: ComponentConfig | None
    """None: `name` is a file of problems."""
    executor: ComponentConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Unusable:
    """A row of a file that is no problem."""

    problem_id: str
    """Empty where the row does not tell."""
    fault: str
    """One line that begins with the row's place."""


@dataclass(frozen=True)
class Chosen:
    """A data set of problems that are in memory."""

    problems: Sequence[Problem]

    def identity(self) -> Mapping[str, Json]:
        """All that is in them; their keys leave limits out."""
        return {"problems": key_of([asdict(problem) for problem in self.problems])}

    def load(self) -> Iterator[Problem]:
        """All of them."""
        yield from self.problems


def given(name: str, settings: Mapping[str, Any]) -> Given:
    """What the argument of a verb means.

    Args:
        name: a registered data set, a run's TOML file, or a file of problems: records as the
            stage `load` writes them, or one's own problems (docs/data.md).
        settings: by dotted key (`dataset.path`, `executor.workers`).

    Raises:
        InputError: it is none of these, or a setting is wrong (ConfigError).
    """
    path = Path(name)
    bare: dict[str, Any] = {"output": "", "dataset": {"name": name}}
    if name in registry.names("datasets"):
        config = load_config(None, settings, bare)
    elif path.suffix == ".toml":
        config = load_config(path, settings, {"output": ""})
    else:
        _check_file(path, settings)
        return Given(name=name, dataset=None, executor=load_config(None, settings, bare).executor)
    return Given(name=name, dataset=config.dataset, executor=config.executor)


def _check_file(path: Path, settings: Mapping[str, Any]) -> None:
    if path.is_dir():
        raise InputError(
            f"{path} is a folder: expected a file of problems, or a data set's name with --set "
            f"dataset.path={path}"
        )
    if not path.exists():
        known = nearest(str(path), registry.names("datasets"))
        raise InputError(f"no file {path}, and no data set of that name: {known}")
    for key in settings:
        if key.partition(".")[0] == "dataset":
            raise ConfigError(
                f"--set {key}: {path} is a file of problems, which has no settings; to read it as "
                f"a data set, give its name with --set dataset.path={path}"
            )


def read_problems(source: Given) -> Iterator[Problem | Unusable]:
    """The problems in their order; only rows of a file of problems can be unusable.

    Raises:
        InputError: the data set, or the file, cannot be read at all.
    """
    if source.dataset is not None:
        part = source.dataset
        yield from registry.build("datasets", part.name, part.options).load()
        return
    for where, row in raw_rows(Path(source.name)):
        yield _problem(row, where)


def checked(problems: Iterable[Problem | Unusable]) -> Iterator[Problem]:
    """The problems of a source all of which must be usable, each under an id of its own.

    Raises:
        DataError: one is unusable, two have the same id, or there is none.
    """
    seen: set[str] = set()
    for problem in problems:
        if isinstance(problem, Unusable):
            raise DataError(problem.fault)
        if problem.problem_id in seen:
            raise DataError(f"two problems have the id {problem.problem_id!r}: ids must be unique")
        seen.add(problem.problem_id)
        yield problem
    if not seen:
        raise DataError("there is no problem: expected one at least")


class _Named(msgspec.Struct):
    """What is needed of a problem that cannot be used."""

    problem_id: str = ""
    id: str = ""


def _problem(row: bytes | msgspec.Raw, where: str) -> Problem | Unusable:
    try:
        fields = decoded(row, dict[str, msgspec.Raw], where)
        if "hidden" in fields:
            return decoded(row, Problem, where)
        if "statement" not in fields:
            raise DataError(
                f"{where}: not a problem: neither `hidden` (a record of problems.jsonl) nor "
                "`statement` (a problem of one's own); a benchmark's file is read by the data "
                "set's name with --set dataset.path=FILE"
            )
        return read_problem(bytes(row), where)
    except InputError as error:
        return Unusable(problem_id=_name(row), fault=str(error))


def _name(row: bytes | msgspec.Raw) -> str:
    try:
        found = decoded(row, _Named, "")
    except InputError:
        return ""
    return found.problem_id or found.id
