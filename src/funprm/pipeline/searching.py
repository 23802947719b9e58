"""Programs that a search finds: the stage `generate` of a run that has one."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from funprm import registry
from funprm.config import RunConfig
from funprm.errors import ConfigError
from funprm.interfaces import Scorer
from funprm.pipeline.loading import load
from funprm.pipeline.run import Run
from funprm.pipeline.stage import Outcome, Stage, derived, listed
from funprm.records import Generation, Json
from funprm.search.base import Search
from funprm.search.grower import Found, Grower, spent
from funprm.search.records import Node
from funprm.store import RecordFile


def search_of(config: RunConfig) -> Search | None:
    """The search that the settings name; None: there is none.

    Raises:
        ConfigError: there is no such search, or a setting is wrong.
    """
    part = config.search
    if part is None:
        return None
    if "n" in part.options:
        raise ConfigError("search.n is not a setting of its own: set generate.n")
    search: Search = registry.build("searches", part.name, {**part.options, "n": config.generate.n})
    return search


def searched(search: Search, scorer: Scorer | None, *, max_steps: int) -> Stage:
    """The stage that finds programs with a search, in place of sampling `generate.n` of them.

    Answers go to `nodes.jsonl` as they arrive; what the search made of them is in `tree.jsonl`,
    its complete programs in `candidates.jsonl`.

    Args:
        search: decides what is written.
        scorer: the reward model that it goes by; None: there is none.
        max_steps: how programs are cut for it.
    """

    def settings(run: Run) -> Json:
        scores = dict(scorer.identity()) if scorer and search.needs_scores else None
        rules = dict(run.executor.identity()) if search.uses_tests else None
        policy = dict(run.policy.identity())
        return [policy, dict(search.identity()), scores, rules, max_steps, run.config.seed]

    def work(run: Run) -> None:
        run.progress.start("generate", search.n * len(run.problems))
        if hasattr(run.policy, "on_tokens"):
            run.policy.on_tokens = getattr(run.progress, "tokens", None)
        grower = Grower(
            run.policy,
            scorer,
            executor=lambda: run.executor,
            file=run.file("nodes", Node),
            max_steps=max_steps,
            seed=run.config.seed,
            progress=run.progress,
        )
        found = grower.grow(search, list(run.problems.values()))
        run.folder.write("tree", (node for item in found for node in item.tree))
        run.folder.write("candidates", (x for item in found for x in _generations(run, item)))

    return Stage(
        name="generate",
        after=load,
        work=work,
        take=derived(lambda run: [_tree(run).path, _candidates(run).path], _hand),
        tell=_told,
        settings=settings,
    )


def _tree(run: Run) -> RecordFile[Node]:
    return run.file("tree", Node)


def _candidates(run: Run) -> RecordFile[Generation]:
    return run.file("candidates", Generation)


def _generations(run: Run, found: Found) -> Iterator[Generation]:
    """A search's programs, each with what the parts took that it was written in."""
    name = run.config.policy.name if run.config.policy else type(run.policy).__name__
    label = str(run.policy.identity().get("model", name))
    for index, node in enumerate(found.candidates):
        path = found.path(node)
        assert node.finish != "step"  # it is complete
        yield Generation(
            key=node.key,
            problem_id=node.problem_id,
            index=index,
            code=node.code,
            policy=label,
            finish=node.finish,
            **_measured(path),
        )


def _measured(path: Sequence[Node]) -> dict[str, Json]:
    """Sums over the parts of a program; what is not known of one is not known of the whole."""
    total = spent(path)
    known = {node.logprob is not None for node in path} == {True}
    certain = {node.self_certainty is not None for node in path} == {True}
    tokens = max(1, total.written)
    return dict(
        prompt_tokens=total.read,
        completion_tokens=total.written,
        logprob=math.fsum(node.logprob or 0.0 for node in path) if known else None,
        logprob_tokens=sum(node.logprob_tokens for node in path) if known else 0,
        self_certainty=math.fsum(
            (node.self_certainty or 0.0) * node.completion_tokens / tokens for node in path
        )
        if certain
        else None,
        seconds=total.seconds,
        cost=math.fsum(node.cost for node in path),
    )


def _hand(run: Run) -> None:
    run.generations = {item.key: item for item in _candidates(run)}


def _told(run: Run) -> Outcome:
    tree = list(_tree(run))
    total, programs = spent(tree), run.generations.values()
    parents = {node.parent for node in tree}
    cut = [node for node in tree if node.goes_on and node.key not in parents]
    changed = sum(not node.kept for node in tree)
    answered = {item.problem_id for item in programs}
    return Outcome(
        note=f"{len(programs)} programs of {len(tree)} parts, {total.written} tokens"
        + (f", {len(cut)} beginnings given up" if cut else "")
        + (f", cost {total.cost:.4g}" if total.cost else ""),
        facts=dict(
            programs=len(programs),
            parts=len(tree),
            given_up=len(cut),
            changed_prefix=changed,
            problems_without_programs=sum(name not in answered for name in run.problems),
            completion_tokens=total.written,
            prompt_tokens=total.read,
            score_tokens=total.scored,
            cost=round(total.cost, 6),
            **Counter(item.finish for item in programs if item.finish != "stop"),
        ),
        missing=(
            *listed([name for name in run.problems if name not in answered], "without a program"),
            *(
                [f"{changed} parts changed what they go on from and do not count"]
                if changed
                else []
            ),
        ),
    )
