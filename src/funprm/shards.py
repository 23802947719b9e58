"""A stage's work in several processes, each with record files of its own."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from funprm.errors import ConfigError

_NAME = re.compile(r"\.([0-9]+)-of-([0-9]+)\.(?:jsonl|lock)\Z")


@dataclass(frozen=True, order=True)
class Shard:
    """One part of several, by number from 1.

    >>> Shard.parse("2/4").takes(5)
    True
    """

    count: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`number/count`.

        Raises:
            ConfigError: it is not that, or there is no such part.
        """
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise ConfigError(f"--shard {text!r}: expected number/count, from 1/4 to 4/4 for four")
        return cls(int(count), int(number))

    @classmethod
    def of_file(cls, path: Path) -> "Shard | None":
        """The part that a file is of; None: of no part."""
        found = _NAME.search(path.name)
        return cls(int(found[2]), int(found[1])) if found else None

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def label(self) -> str:
        """As it stands in the names of files."""
        return f"{self.number}-of-{self.count}"

    def takes(self, place: int) -> bool:
        """Whether what has this place, from 0, is of this part."""
        return place % self.count == self.number - 1


def shard_files(folder: Path, name: str) -> list[Path]:
    """The record files of a name's shards, in a fixed order."""
    found = {path: Shard.of_file(path) for path in folder.glob(f"{name}.*-of-*.jsonl")}
    return sorted((path for path in found if found[path]), key=lambda path: str(found[path]))
