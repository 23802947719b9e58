"""Several data sets as one: train problems of one benchmark, test problems of another."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, get_args

import msgspec

from funprm import registry
from funprm.errors import ConfigError, DataError
from funprm.interfaces import Dataset
from funprm.records import Json, Problem, Split, key_of


@dataclass(frozen=True, kw_only=True)
class CombinedDataset:
    """The problems of several data sets, one after the other.

    Args:
        parts: options of each data set by a label. `name` is the data set, by default the label;
            `at_most` bounds how many problems a split gets of it, counted in its own order: a
            larger number only adds problems, 0 leaves the split out.

    Raises:
        ConfigError: no part; an unknown data set, option or split; a number below 0.
    """

    transport: ClassVar[frozenset[str]] = frozenset({"parts"})
    """They do determine the problems, and `identity` says it: so a run may grow, and what is stored
    of the problems that stay is used again."""

    parts: Mapping[str, Mapping[str, Any]]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ConfigError("combined: no parts: expected a table [dataset.parts.NAME] at least")
        _ = self._parts

    def identity(self) -> Mapping[str, Json]:
        """What determines the problems of each part, and how many of them are taken."""
        return {
            "data set": "combined",
            "parts": [[part.problems_identity(), dict(part.at_most)] for part in self._parts],
        }

    def load(self) -> Iterator[Problem]:
        """The parts' problems in the order of the parts; errors are those of the parts.

        Raises:
            DataError: a part has no problem in a split that `at_most` asks of it.
        """
        for part in self._parts:
            yield from part.load()

    @cached_property
    def _parts(self) -> list["_Part"]:
        return [_part(label, options) for label, options in self.parts.items()]


@dataclass(frozen=True, kw_only=True)
class _Part:
    label: str
    dataset: Dataset
    at_most: Mapping[Split, int]

    def problems_identity(self) -> Json:
        identity = getattr(self.dataset, "identity", None)
        if identity:
            return dict(identity())
        return [
            key_of(asdict(problem)) for problem in self.dataset.load()
        ]  # limits and splits, too

    def load(self) -> Iterator[Problem]:
        taken: Counter[str] = Counter()
        for problem in self.dataset.load():
            most = self.at_most.get(problem.split)
            if most is None or taken[problem.split] < most:
                taken[problem.split] += 1
                yield problem
        missing = [split for split, most in self.at_most.items() if most and not taken[split]]
        if missing:
            raise DataError(
                f"combined: {self.label!r} has no {missing[0]} problem, and at_most asks for some: "
                "change its `split`, or leave that number out"
            )


def _part(label: str, options: Mapping[str, Any]) -> _Part:
    options = dict(options)
    name, at_most = options.pop("name", label), options.pop("at_most", {})
    try:
        at_most = msgspec.convert(at_most, dict[Split, int])
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"combined: {label}.at_most = {at_most!r}: expected a number for some of "
            f"{', '.join(get_args(Split))} ({error})"
        ) from error
    for split, most in at_most.items():
        if most < 0:
            raise ConfigError(f"combined: {label}.at_most.{split} = {most}: expected 0 or more")
    return _Part(label=label, dataset=registry.build("datasets", name, options), at_most=at_most)
