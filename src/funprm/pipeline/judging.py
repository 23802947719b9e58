"""Verdicts and Monte-Carlo rewards: the stages that run programs, and count."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property

from funprm.interfaces import Job
from funprm.pipeline.run import Outcome, Run, stage
from funprm.pipeline.sampling import prefix_key
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
from funprm.store import by_key


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
                    if suite is not None:
                        yield suite, generation.code, False
            if problem.hidden.cases or problem.hidden.code:
                yield problem.hidden, generation.code, True
        for rollout in self.run.rollouts.values():
            if rollout.kept:
                yield self.run.problems[rollout.problem_id].hidden, rollout.code, True


@stage("execute", after="rollout")
def execute(run: Run) -> Outcome:
    """Judge every distinct program into `verdicts.jsonl`."""
    return judge_programs(run)


def judge_programs(run: Run) -> Outcome:
    """Judge all programs of a run that have no verdict yet."""
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
    run.forget("verdicts")
    found = run.verdicts  # and perhaps others': of earlier rules, which stay in the file
    counts = Counter(found[job.key].status.value for job in wanted if job.key in found)
    shown = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    return Outcome(
        note=f"{len(wanted)} verdicts: {shown}", facts=dict(programs=len(wanted), **counts)
    )


@stage("reward", after="execute")
def reward(run: Run) -> Outcome:
    """Count passed and judged completions of every step into `rewards.jsonl`."""
    tallies = rollout_tallies(run)
    docket = Docket(run)
    generations = run.generations.values()
    run.progress.start("reward", len(generations))
    with run.file("rewards", Reward) as file:
        stored = by_key(file)
        for generation in generations:
            made = rewards_of(run, docket, tallies, generation)
            file.append(*(item for item in made if stored.get(item.key) != item))
            run.progress.advance()
    run.forget("rewards")
    partial = [item for item in run.rewards.values() if not item.final and item.n]
    mean = sum(item.k / item.n for item in partial) / max(1, len(partial))
    return Outcome(
        note=f"{len(partial)} rewards of partial programs, mean {mean:.3f}",
        facts=dict(rewards=len(run.rewards)),
    )


def rollout_tallies(run: Run) -> dict[str, Tally]:
    """Passed, judged and not judged completions by prefix key."""
    docket = Docket(run)
    outcomes: dict[str, list[bool | None]] = {}
    for rollout in run.rollouts.values():
        passed = _passed(docket, run.problems[rollout.problem_id], rollout)
        outcomes.setdefault(rollout.prefix, []).append(passed)
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
