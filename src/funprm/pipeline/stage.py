"""A stage: what it asks for, whether that is stored, and the work where it is not.

What is stored decides, not what the manifest says. A stage that *grows* a file (answers, verdicts,
scores) plans keys from the content of what it works on and from the identities of the parts that do
the work: it is complete when every planned key is stored, and nothing else is used. A stage that
*derives* files is complete when they are what was written from these very inputs.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from funprm.disk import digest_of
from funprm.errors import StoreError
from funprm.records import Json, key_of
from funprm.shards import Shard
from funprm.store import read_records

if TYPE_CHECKING:
    from funprm.pipeline.run import Run

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a stage tells of its results, which determine it: no times are in it."""

    note: str
    """A line for people."""
    facts: Mapping[str, Json]
    """Counts and costs."""
    missing: tuple[str, ...] = ()
    """What could not be had, and why: a phrase each. Shown, and kept in `summary.json`."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a run was handed from a stage's files."""

    digest: str
    """Changes when the results change."""
    left: str = ""
    """Digest of the planned keys that there is nothing for; empty: of none."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the manifest notes of a stage."""

    inputs: str
    """Digest of all stages before, and of what else determines the results."""
    taken: Taken
    seconds: float
    """Of the work on these inputs, over all calls that did some to its end."""
    facts: Mapping[str, Json]
    missing: tuple[str, ...] = ()


class Incomplete(Exception):  # noqa: N818  (a reason, not an error)
    """A stage's results are not stored; the text says what is missing."""


Take = Callable[["Run", Record | None], Taken]
"""Hands the run what is stored of a stage's results, and nothing else.

Its second argument is what the manifest noted for the same inputs, None where it notes nothing.
Raises `Incomplete`.
"""


@dataclass(frozen=True, eq=False, kw_only=True)
class Stage:
    """One stage of a run; calling it does what is missing."""

    name: str
    work: Callable[["Run"], object]
    take: Take
    tell: Callable[["Run"], Outcome]
    """What there is to say of the results that the run was handed."""
    after: "Stage | None" = None
    settings: Callable[["Run"], Json] = field(default=lambda run: None)
    """What determines the results beside the stage before."""
    tries_again: bool = False
    """What the work gave nothing for (verdicts: not judged) is tried again by every call."""

    def __call__(self, run: "Run") -> None:
        """Do the work, unless its results are stored; note it in the manifest.

        Raises:
            StoreError: the stage before is not complete.
        """
        if self.name in run.outcomes:
            return
        inputs = self._inputs(run)
        before = self._noted(run, inputs)
        try:
            taken = self.take(run, before)
            complete = not (taken.left and self.tries_again)
        except Incomplete:
            complete = False
        spent = before.seconds if before else 0.0
        if not complete:
            started = time.monotonic()
            self.work(run)
            spent = round(spent + time.monotonic() - started, 3)
            taken = self._taken_after(run, inputs)
        outcome = self._keep(run, inputs, taken)
        noted = Record(
            inputs=inputs, taken=taken, seconds=spent, facts=outcome.facts, missing=outcome.missing
        )
        if noted != before:
            run.folder.mark_complete(self.name, msgspec.to_builtins(noted))
        if not complete:
            shard = f"shard {run.part[1]}: " if run.part else ""
            run.progress.finish(shard + "; ".join((outcome.note, *outcome.missing)))

    def _taken_after(self, run: "Run", inputs: str) -> Taken:
        try:
            return self.take(run, _anything(inputs))
        except Incomplete as reason:
            raise StoreError(
                f"stage {self.name!r} of {run.folder.path} did not give what it should ({reason}): "
                "something else writes there; run the same command again, or give another `output`"
            ) from None

    def require(self, run: "Run") -> None:
        """Hand the run the stored results.

        Raises:
            StoreError: they are not complete; says why and what to do.
        """
        try:
            self._settle(run)
        except Incomplete as reason:
            raise StoreError(
                f"stage {self.name!r} of {run.folder.path} is not complete ({reason}): run "
                f"`funprm {self.name}` with the same configuration first, or `funprm run` for all "
                "stages"
            ) from None

    def complete(self, run: "Run") -> bool:
        """Whether its results are stored; they are handed to the run."""
        try:
            self._settle(run)
        except Incomplete:
            return False
        return True

    def _settle(self, run: "Run") -> None:
        """Hand the run the stored results of this stage and all before it.

        Raises:
            Incomplete: some are not stored.
        """
        if self.name in run.outcomes:
            return
        if self.after is not None:
            try:
                self.after._settle(run)
            except Incomplete as reason:
                earlier = "" if str(reason).startswith("stage ") else f"stage {self.after.name!r}: "
                raise Incomplete(f"{earlier}{reason}") from None
        inputs = self._inputs(run)
        self._keep(run, inputs, self.take(run, self._noted(run, inputs)))

    def _keep(self, run: "Run", inputs: str, taken: Taken) -> Outcome:
        run.digests[self.name] = key_of(inputs, taken.digest)
        outcome = run.outcomes[self.name] = self.tell(run)
        return outcome

    def _inputs(self, run: "Run") -> str:
        before = ""
        if self.after is not None:
            self.after.require(run)
            before = run.digests[self.after.name]
        return key_of(self.name, before, self.settings(run))

    def _noted(self, run: "Run", inputs: str) -> Record | None:
        """What the manifest notes of the stage for the same inputs."""
        stored = run.folder.complete(self.name)
        try:
            noted = None if stored is None else msgspec.convert(stored, Record)
        except msgspec.ValidationError:
            return None
        return noted if noted and noted.inputs == inputs else None


def _anything(inputs: str) -> Record:
    """A record that `take` accepts after the work: whatever lies there is its result."""
    return Record(inputs=inputs, taken=Taken(digest=ANY, left=ANY), seconds=0.0, facts={})


ANY = "*"


@dataclass(frozen=True, eq=False, kw_only=True)
class Grown(Generic[T]):
    """How a stage takes the records that its plan asks for from a file that only grows."""

    file: str
    """Its name, without `.jsonl`."""
    kind: type[T]
    """Of its records, which have a `key`."""
    plan: Callable[["Run"], Iterable[tuple[str, str]]]
    """The wanted keys, in order, with the id of the problem that each is of."""
    hand: Callable[["Run", dict[str, T]], object]
    """Gives the run the wanted records that are stored, in the plan's order."""
    counts: Callable[[T], bool] = lambda record: True
    """Whether a record is a result (a verdict `not judged` is none)."""

    def __call__(self, run: "Run", noted: Record | None) -> Taken:
        """Hand the run what is stored; see `Take`."""
        planned: dict[str, str] = {}
        for key, problem_id in self.plan(run):
            planned.setdefault(key, problem_id)
        stored: dict[str, T] = {}
        marks: dict[str, bytes] = {}
        others: set[str] = set()
        for line, record in run.file(self.file, self.kind).lines():
            key = record.key  # type: ignore[attr-defined]
            if key not in planned:
                others.add(key)
            elif key not in stored or self.counts(record):
                stored[key], marks[key] = record, _mark(line)
        left = [key for key in planned if key not in stored or not self.counts(stored[key])]
        named = key_of(left) if left else ""
        if left and (noted is None or noted.taken.left not in (named, ANY)):
            where = self._by_shard(run, [planned[key] for key in left])
            raise Incomplete(f"{len(left):,} of {len(planned):,} results are not stored{where}")
        run.unused[self.file] = 0 if run.part else len(others)
        self.hand(run, {key: stored[key] for key in planned if key in stored})
        return Taken(digest=digest(marks[key] for key in planned if key in marks), left=named)

    def _by_shard(self, run: "Run", problems: Sequence[str]) -> str:
        """How many of some results are of which shard, where shards have worked on the file."""
        counts = {
            shard.count for shard in map(Shard.of_file, run.folder.shards(self.file)) if shard
        }
        if len(counts) != 1:
            return ""
        (count,) = counts
        numbers = Counter(run.places[problem] % count + 1 for problem in problems)
        shown = [f"{numbers[number]:,} of shard {number}/{count}" for number in sorted(numbers)]
        more = [f"and of {len(shown) - _NAMED} more"] if len(shown) > _NAMED else []
        return f": {', '.join(shown[:_NAMED] + more)}"


def _mark(line: bytes) -> bytes:
    """A line's digest, which is kept in its place."""
    return blake2b(line, digest_size=16).digest()


def digest(parts: Iterable[bytes]) -> str:
    """Digest of a sequence of bytes, 32 hex digits."""
    total = blake2b(digest_size=16)
    for part in parts:
        total.update(part)
    return total.hexdigest()


def derived(
    files: Callable[["Run"], Sequence[Path]], hand: Callable[["Run"], object] = lambda run: None
) -> Take:
    """How a stage takes files that follow from its inputs: all of them, as they were written.

    Args:
        files: the files.
        hand: gives the run what is in them.
    """

    def take(run: "Run", noted: Record | None) -> Taken:
        if noted is None:
            raise Incomplete("it was not done, or what it works on has changed")
        found = {path: digest_of(path) for path in files(run)}
        absent = [path.name for path, digest in found.items() if not digest]
        if absent:
            raise Incomplete(f"{', '.join(absent)} is missing")
        content = key_of([[path.name, found[path]] for path in found])
        if noted.taken.digest not in (content, ANY):
            raise Incomplete(f"{', '.join(path.name for path in found)}: not as written")
        hand(run)
        return Taken(digest=content)

    return take


def derived_records(file: str, kind: type[T], hand: Callable[["Run", list[T]], Any]) -> Take:
    """As `derived`, for one file of records."""

    def path(run: "Run") -> Path:
        return run.folder.path / f"{file}.jsonl"

    return derived(
        lambda run: [path(run)], lambda run: hand(run, list(read_records(path(run), kind)))
    )


def unused(run: "Run", file: str) -> str:
    """The end of a note: how many stored records the plan does not ask for."""
    count = run.unused.get(file, 0)
    return f", {count} stored of other settings or contents not used" if count else ""


def listed(names: Sequence[str], what: str, noun: str = "problems") -> tuple[str, ...]:
    """A phrase that counts and names some; none where there are none.

    >>> listed(["a", "b"], "without a program")
    ('2 problems without a program (a, b)',)
    """
    if not names:
        return ()
    shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return (f"{len(names)} {noun if len(names) > 1 else noun[:-1]} {what} ({shown})",)


_NAMED = 3
"""Names in a phrase; the records hold all."""
