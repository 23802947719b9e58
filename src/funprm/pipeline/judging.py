"""Verdicts and Monte-Carlo rewards: the stages that run programs, and count."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property

from funprm.interfaces import Job
from funprm.pipeline.run import Run
from funprm.pipeline.sampling import prefix_key, rollout
from funprm.pipeline.stage import Outcome, Stage, Take, derived_records, grown, unused
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


@dataclass
class Docket:
    """Which programs are judged by which suites, and under which keys."""

    run: Run

    @cached_property
    def _rules(self) -> str:
        return key_of("verdict", 1, dict(self.run.executor.identity()))

    @cached_property
    def _suites(self) -> dict[int, str]:
        return {}

    def key(self, suite: Suite, code: str) -> str:
        """The key of a program's verdict by a suite."""
        name = self._suites.get(id(suite))
        if name is None:
            known = {k: v for k, v in asdict(suite).items() if k != "packed" or v}
            name = self._suites[id(suite)] = key_of(known)
        return key_of(self._rules, name, code)

    def verdict(self, suite: Suite | None, code: str) -> Verdict | None:
        """The stored verdict of a program, if there is one."""
        return None if suite is None else self.run.verdicts.get(self.key(suite, code))

    def jobs(self) -> Iterator[Job]:
        """All programs with the suites they are judged by, without repetitions."""
        seen: set[str] = set()
        for suite, code, stop in self._wanted():
            key = self.key(suite, code)
            if key not in seen:
                seen.add(key)
                yield Job(key=key, code=code, suite=suite, stop_at_first_failure=stop)

    def _wanted(self) -> Iterator[tuple[Suite, str, bool]]:
        for generation in self.run.generations.values():
            problem = self.run.problems[generation.problem_id]
            if problem.split == "test":  # first: a hidden suite that is the same adds nothing
                for suite in (problem.public, problem.probe):
                    if suite is not None and suite.has_tests:
                        yield suite, generation.code, False
            if problem.hidden.has_tests:
                yield problem.hidden, generation.code, True
        for completed in self.run.rollouts.values():
            hidden = self.run.problems[completed.problem_id].hidden
            if completed.kept and hidden.has_tests:
                yield hidden, completed.code, True


# --- execute ---------------------------------------------------------------------------------


def judge_programs(run: Run) -> None:
    """Judge every distinct program that has no verdict yet into `verdicts.jsonl`."""
    wanted = list(Docket(run).jobs())
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
    return Outcome(
        note=f"{len(verdicts)} verdicts: {shown}" + unused(run, "verdicts"),
        facts=dict(programs=len(verdicts), **counts),
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

take_verdicts: Take = grown(
    "verdicts",
    Verdict,
    plan=lambda run: (job.key for job in Docket(run).jobs()),
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
    docket = Docket(run)
    run.progress.start("reward", len(run.generations))

    def counted() -> Iterator[Reward]:
        for generation in run.generations.values():
            yield from rewards_of(run, docket, tallies, generation)
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
    docket = Docket(run)
    outcomes: dict[str, list[bool | None]] = {}
    for completed in run.rollouts.values():
        passed = _passed(docket, run.problems[completed.problem_id], completed)
        outcomes.setdefault(completed.prefix, []).append(passed)
    return {prefix: tally(found) for prefix, found in outcomes.items()}


def rewards_of(
    run: Run, docket: Docket, tallies: dict[str, Tally], generation: Generation
) -> Iterable[Reward]:
    """The rewards of one generation's measured steps, from tallies by prefix."""
    problem = run.problems[generation.problem_id]
    ends = run.steps[generation.key].ends
    for step, end in enumerate(ends):
        prefix = prefix_key(problem.problem_id, generation.code[:end])
        final = step == len(ends) - 1
        if not final and prefix not in tallies:
            continue
        found = tally([_passed(docket, problem, generation)]) if final else tallies[prefix]
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


def _passed(docket: Docket, problem: Problem, program: Generation | Rollout) -> bool | None:
    if isinstance(program, Rollout) and not program.kept:
        return None
    verdict = docket.verdict(problem.hidden, program.code)
    return None if verdict is None else verdict.passed


def _slim(verdict: Verdict, with_cases: bool) -> Verdict:
    """What is kept of a verdict: no cases, or of each case only its status and digest."""
    results = tuple(
        CaseResult(index=item.index, status=item.status, digest=item.digest)
        for item in verdict.results
        if with_cases
    )
    return replace(verdict, results=results)
