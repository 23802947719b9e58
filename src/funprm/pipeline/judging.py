"""Verdicts and Monte-Carlo rewards: the stages that run programs, and count."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Literal

from funprm.executors.grading.suites import shared_a_process
from funprm.interfaces import Job
from funprm.pipeline.run import Run
from funprm.pipeline.sampling import prefix_key, rollout
from funprm.pipeline.stage import Grown, Outcome, Stage, derived_records, unused
from funprm.records import (
    CaseResult,
    Generation,
    Problem,
    Reward,
    Rollout,
    Status,
    Suite,
    Verdict,
    key_of,
)
from funprm.rewards import Tally, tally

Which = Literal["hidden", "public", "probe"]


@dataclass
class VerdictIndex:
    """Which programs are judged by which suites, and under which keys.

    A verdict is either of the whole suite, found out as soon as possible, or of each of its cases:
    public tests and probes are asked for shares and outputs. The keys tell these apart.
    """

    run: Run

    @cached_property
    def _rules(self) -> str:
        return key_of("verdict", 2, dict(self.run.executor.identity()))

    @cached_property
    def _suites(self) -> dict[tuple[str, Which], tuple[str, bool]]:
        return {}

    def _suite(self, problem: Problem, which: Which) -> tuple[str, bool]:
        """Digest of a suite, and whether every case is wanted."""
        found = self._suites.get((problem.problem_id, which))
        if found is None:
            suite: Suite = getattr(problem, which)
            known = {k: v for k, v in asdict(suite).items() if k != "packed" or v}
            shown = problem.split == "test" and suite in (problem.public, problem.probe)
            found = self._suites[problem.problem_id, which] = key_of(known), shown
        return found

    def key(self, problem: Problem, which: Which, code: str) -> str:
        """The key of a program's verdict by a suite of a problem."""
        return key_of(self._rules, *self._suite(problem, which), code)

    def verdict(self, problem: Problem, which: Which, code: str) -> Verdict | None:
        """The stored verdict of a program, if there is such a suite, and one is stored."""
        if getattr(problem, which) is None:
            return None
        return self.run.verdicts.get(self.key(problem, which, code))

    def jobs(self) -> Iterator[tuple[str, Job]]:
        """All programs with the suites they are judged by, without repetitions.

        With each the id of its problem; of several the first one.
        """
        seen: set[str] = set()
        for problem, which, code in self._wanted():
            suite: Suite | None = getattr(problem, which)
            if suite is None or not suite.has_tests:
                continue
            key = self.key(problem, which, code)
            if key not in seen:
                seen.add(key)
                if not self.run.takes("execute", problem.problem_id):
                    continue
                stop = not self._suite(problem, which)[1]
                job = Job(key=key, code=code, suite=suite, stop_at_first_failure=stop)
                yield problem.problem_id, job

    def _wanted(self) -> Iterator[tuple[Problem, Which, str]]:
        for generation in self.run.generations.values():
            problem = self.run.problems[generation.problem_id]
            if problem.split == "test":
                yield problem, "public", generation.code
                yield problem, "probe", generation.code
            yield problem, "hidden", generation.code
        for completed in self.run.rollouts.values():
            if completed.kept:
                yield self.run.problems[completed.problem_id], "hidden", completed.code


# --- execute ---------------------------------------------------------------------------------


def judge_programs(run: Run) -> None:
    """Judge every distinct program that has no verdict yet into `verdicts.jsonl`."""
    wanted = [job for _, job in VerdictIndex(run).jobs()]
    with run.file("verdicts", Verdict) as file:
        stored = {verdict.key: verdict.status for verdict in file}
        missing = [
            job for job in wanted if stored.get(job.key, Status.NOT_JUDGED) is Status.NOT_JUDGED
        ]
        run.progress.start("execute", len(wanted), len(wanted) - len(missing))
        with_cases = {job.key for job in missing if not job.stop_at_first_failure}
        for verdict in run.executor.judge(missing):
            if verdict.status is not Status.NOT_JUDGED or verdict.key not in stored:
                file.append(_slim(verdict, verdict.key in with_cases))
            run.progress.advance()


def hand_verdicts(run: Run, verdicts: dict[str, Verdict]) -> None:
    """Give the run the verdicts that its plan asks for."""
    run.verdicts = verdicts


def judged(run: Run) -> Outcome:
    """Verdicts by status, and why some are missing."""
    verdicts = run.verdicts.values()
    counts = Counter(verdict.status.value for verdict in verdicts)
    shown = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    shared = sum(map(shared_a_process, verdicts))
    note = f"; {shared} passed in one process with their tests" if shared else ""
    return Outcome(
        note=f"{len(verdicts)} verdicts: {shown}{note}" + unused(run, "verdicts"),
        facts=dict(programs=len(verdicts), passed_with_tests_in_process=shared, **counts),
        missing=tuple(_not_judged(verdicts)),
    )


def _not_judged(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """Programs that could not be judged, by reason; the most frequent reasons first."""
    reasons = Counter(v.detail for v in verdicts if v.status is Status.NOT_JUDGED)
    for reason, count in reasons.most_common(_REASONS):
        yield f"{count} not judged: {' '.join(reason.split())[:200] or 'no reason given'}"
    if len(reasons) > _REASONS:
        rest = sum(reasons.values()) - sum(n for _, n in reasons.most_common(_REASONS))
        yield f"{rest} not judged for other reasons (see verdicts.jsonl)"


_REASONS = 3

take_verdicts = Grown(
    file="verdicts",
    kind=Verdict,
    plan=lambda run: ((job.key, problem_id) for problem_id, job in VerdictIndex(run).jobs()),
    hand=hand_verdicts,
    counts=lambda verdict: verdict.status is not Status.NOT_JUDGED,
)

execute = Stage(
    name="execute",
    after=rollout,
    work=judge_programs,
    take=take_verdicts,
    tell=judged,
    settings=lambda run: dict(run.executor.identity()),
    tries_again=True,
)
"""Judges every distinct program into `verdicts.jsonl`."""


# --- reward ----------------------------------------------------------------------------------


def _reward(run: Run) -> None:
    """Count passed and judged completions of every step into `rewards.jsonl`."""
    tallies = rollout_tallies(run)
    verdict_index = VerdictIndex(run)
    run.progress.start("reward", len(run.generations))

    def counted() -> Iterator[Reward]:
        for generation in run.generations.values():
            yield from rewards_of(run, verdict_index, tallies, generation)
            run.progress.advance()

    run.folder.write("rewards", counted())


def _hand_rewards(run: Run, rewards: list[Reward]) -> None:
    run.rewards = rewards


def _rewarded(run: Run) -> Outcome:
    partial = [item for item in run.rewards if not item.final]
    known = [item.k / item.n for item in partial if item.n]
    final = [item for item in run.rewards if item.final]
    unknown = sum(not item.n for item in final)
    missing = []
    if len(known) < len(partial):
        missing.append(f"{len(partial) - len(known)} partial programs without a judged completion")
    if unknown:
        missing.append(f"{unknown} of {len(final)} programs without a verdict of their own")
    return Outcome(
        note=f"{len(known)} rewards of partial programs, mean "
        f"{sum(known) / max(1, len(known)):.3f}",
        facts=dict(
            rewards=len(run.rewards),
            partial=len(known),
            programs=len(final) - unknown,
        ),
        missing=tuple(missing),
    )


reward: Stage = Stage(
    name="reward",
    after=execute,
    work=_reward,
    take=derived_records("rewards", Reward, _hand_rewards),
    tell=_rewarded,
)
"""Counts passed and judged completions of every step into `rewards.jsonl`."""


def rollout_tallies(run: Run) -> dict[str, Tally]:
    """Passed, judged and not judged completions by prefix key."""
    verdict_index = VerdictIndex(run)
    outcomes: dict[str, list[bool | None]] = {}
    for completed in run.rollouts.values():
        passed = _passed(verdict_index, run.problems[completed.problem_id], completed)
        outcomes.setdefault(completed.prefix, []).append(passed)
    return {prefix: tally(found) for prefix, found in outcomes.items()}


def rewards_of(
    run: Run, verdict_index: VerdictIndex, tallies: dict[str, Tally], generation: Generation
) -> Iterable[Reward]:
    """The rewards of one generation's measured steps, from tallies by prefix."""
    problem = run.problems[generation.problem_id]
    ends = run.steps[generation.key].ends
    for step, end in enumerate(ends):
        prefix = prefix_key(problem.problem_id, generation.code[:end])
        final = step == len(ends) - 1
        if not final and prefix not in tallies:
            continue
        found = tally([_passed(verdict_index, problem, generation)]) if final else tallies[prefix]
        yield Reward(
            key=key_of("reward", generation.key, step),
            generation=generation.key,
            problem_id=problem.problem_id,
            step=step,
            prefix=prefix,
            k=found.k,
            n=found.n,
            not_judged=found.not_judged,
            final=final,
        )


def _passed(
    verdict_index: VerdictIndex, problem: Problem, program: Generation | Rollout
) -> bool | None:
    if isinstance(program, Rollout) and not program.kept:
        return None
    verdict = verdict_index.verdict(problem, "hidden", program.code)
    return None if verdict is None else verdict.passed


def _slim(verdict: Verdict, with_cases: bool) -> Verdict:
    """What is kept of a verdict: no cases, or of each case only its status and digest."""
    results = tuple(
        CaseResult(index=item.index, status=item.status, digest=item.digest)
        for item in verdict.results
        if with_cases
    )
    return replace(verdict, results=results)
