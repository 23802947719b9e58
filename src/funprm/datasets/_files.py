"""Where a benchmark's files are: on this machine, or on the Hugging Face hub.

What the hub gives is cached where its library keeps downloads (`HF_HOME`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from funprm.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The files of a benchmark."""

    repository: str = ""
    """Data set of the hub, such as `livecodebench/code_generation_lite`."""
    remote: tuple[str, ...] = ()
    """Paths in it (glob patterns), all of which are needed."""
    local: tuple[tuple[str, ...], ...] = ()
    """What to look for in a folder: for each needed file its names (glob patterns), in order of
    preference. The remote paths are tried, too: a folder may be a copy of the repository."""
    elsewhere: str = ""
    """Another place where the files can be had, or what they are expected to be."""

    def files(self, path: str) -> list[Path]:
        """The files that a `path` setting means.

        Args:
            path: a file, a folder that holds the files, or empty: the hub.

        Raises:
            InputError: nothing is there; the message says what to get and where to put it.
        """
        if not path:
            return self._from_hub()
        place = Path(path).expanduser()
        if place.is_file():
            return [place]
        if not place.is_dir():
            raise InputError(f"no file or folder {path!r}: {self._remedy()}")
        groups = self.local or (self.remote,)
        found = [self._first(place, names) for names in groups]
        if all(found):
            return [file for files in found for file in files]
        copied = [sorted(place.glob(pattern)) for pattern in self.remote]
        if copied and all(copied):
            return [file for files in copied for file in files]
        missing = " or ".join(groups[found.index([])])
        raise InputError(f"no {missing} in the folder {path!r}: {self._remedy()}")

    @staticmethod
    def _first(folder: Path, names: Sequence[str]) -> list[Path]:
        """All files that match the first pattern with a match, sorted by name."""
        return next(filter(None, (sorted(folder.glob(name)) for name in names)), [])

    def _from_hub(self) -> list[Path]:
        folder = download(self.repository, self.remote, self._remedy())
        return [file for pattern in self.remote for file in self._needed(folder, pattern)]

    def _needed(self, folder: Path, pattern: str) -> Iterator[Path]:
        if not (found := sorted(folder.glob(pattern))):
            raise InputError(
                f"no `path` is set, and the hub has no {pattern} in {self.repository}: "
                f"{self._remedy()}"
            )
        yield from found

    def _remedy(self) -> str:
        if not self.repository:
            return self.elsewhere
        files = ", ".join(self.remote)
        return (
            f"download {files} from huggingface.co/datasets/{self.repository}"
            f"{f', or {self.elsewhere},' if self.elsewhere else ''}"
            " and set `path` to the folder that holds it"
        )


def download(repository: str, patterns: Sequence[str], remedy: str) -> Path:
    """A folder with files of a data set of the hub; what is cached is not downloaded again.

    Args:
        repository: such as `livecodebench/code_generation_lite`.
        patterns: paths of the files in it, as glob patterns.
        remedy: what the user can do without the hub, for error messages.

    Raises:
        InputError: the library or the connection is missing, or the data set does not exist.
    """
    try:
        from httpx import HTTPError  # what the hub's library speaks through
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise InputError(
            f"no `path` is set, and the package huggingface_hub is not installed: {remedy}"
        ) from error
    try:
        return Path(
            snapshot_download(repository, repo_type="dataset", allow_patterns=list(patterns))
        )
    except (HTTPError, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(
            f"no `path` is set, and the hub gave nothing ({reason}): {remedy}"
        ) from error
