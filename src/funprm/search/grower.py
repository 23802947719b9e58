"""Growing: the parts that a search asks for are written, stored, scored and judged.

Every answer is in the file before anything else is done with it. A search that was interrupted
takes the same course again: what is stored is not asked for, scored or judged again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass, field, replace

from funprm.errors import ConfigError, PolicyError
from funprm.interfaces import Executor, Job, PaidScores, Policy, Progress, Scorer
from funprm.policies.asking import answers
from funprm.prompts import render_statement
from funprm.records import LabelledProgram, Problem, key_of
from funprm.search.courses import Answers, Strategy
from funprm.search.parts import Part, node_of, request, whole_steps
from funprm.search.records import Node
from funprm.steps import find_steps, step_texts
from funprm.store import RecordFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What nodes took."""

    written: int = 0
    """Tokens, those that were cut off or abandoned with them."""
    read: int = 0
    """Tokens of prompts and beginnings."""
    scored: int = 0
    """Tokens that a paid scorer took."""
    answers: int = 0
    seconds: float = 0.0
    cost: float = 0.0


def spent(nodes: Iterable[Node]) -> Spent:
    """What nodes took together."""
    counted = list(nodes)
    return Spent(
        written=sum(node.completion_tokens for node in counted),
        read=sum(node.prompt_tokens for node in counted),
        scored=sum(node.score_tokens for node in counted),
        answers=len(counted),
        seconds=sum(node.seconds for node in counted),
        cost=sum(node.cost + node.score_cost for node in counted),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a search may take, over all its problems."""

    tokens: int = 0
    """Tokens written; when they are used up, no further part is begun. 0: no limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a search found for a problem."""

    problem_id: str
    candidates: tuple[Node, ...]
    """Complete programs."""
    tree: tuple[Node, ...]
    """All nodes, in the order in which they were asked for; parents come first."""

    @property
    def spent(self) -> Spent:
        """What the whole tree took."""
        return spent(self.tree)

    def path(self, node: Node) -> tuple[Node, ...]:
        """The nodes that a program was written in, from its beginning."""
        above = {other.key: other for other in self.tree}
        found = [node]
        while found[0].parent:
            found.insert(0, above[found[0].parent])
        return tuple(found)


@dataclass(eq=False)
class Grower:
    """Grows the trees of searches."""

    policy: Policy
    """Writes the parts."""
    scorer: Scorer | None = None
    """Scores their steps; None: there is no reward model."""
    _: KW_ONLY
    executor: Callable[[], Executor] | None = None
    """Gives the judge, which runs public tests for searches that use them; None: none are run."""
    file: RecordFile[Node] | None = None
    """Keeps the nodes, also those of other searches; None: they are kept in memory."""
    max_steps: int = 0
    """How programs are cut for the scorer, as `find_steps`."""
    seed: int = 0
    """Another one gives other programs."""
    budget: Budget = field(default_factory=Budget)
    progress: Progress | None = None
    """Where it shows how many programs are complete."""

    def __post_init__(self) -> None:
        scorer = self.scorer
        self._model = key_of(dict(scorer.identity()), self.max_steps) if scorer else ""
        self._nodes = {node.key: node for node in self.file or ()}
        self._used: dict[str, Node] = {}

    def grow(self, search: Strategy, problems: Sequence[Problem]) -> list[Found]:
        """What a search finds, per problem.

        Raises:
            ConfigError: the search needs a reward model, or another prompt.
            PolicyError: some parts could not be had, or not scored; what was is stored.
        """
        if search.needs_scores and self.scorer is None:
            raise ConfigError(
                f"search {type(search).__name__} goes by step scores, and there is no reward "
                "model: give one (--prm FOLDER)"
            )
        self._used = {}
        course, answered = search.course(problems), None
        with self.file or nullcontext():
            while True:
                try:
                    parts = course.send(answered)  # type: ignore[arg-type]
                except StopIteration as end:
                    candidates: list[list[Node]] = end.value
                    break
                answered = self._answered(search, parts)
        trees: dict[str, list[Node]] = {problem.problem_id: [] for problem in problems}
        for node in self._used.values():
            trees[node.problem_id].append(node)
        return [
            Found(problem_id=name, candidates=tuple(programs), tree=tuple(tree))
            for (name, tree), programs in zip(trees.items(), candidates, strict=True)
        ]

    def _answered(self, search: Strategy, parts: Sequence[Part]) -> Answers:
        limit = self.budget.tokens
        if limit and spent(self._used.values()).written >= limit:
            return [None] * len(parts)
        keys = self._write(parts)
        problems = {part.problem.problem_id: part.problem for part in parts}
        if search.needs_scores:
            self._score(keys, problems)
        if search.uses_tests and self.executor is not None:
            self._judge(keys, problems, self.executor)
        self._used |= {key: self._nodes[key] for key in keys if key in self._nodes}
        return [self._nodes.get(key) for key in keys]

    def _keep(self, node: Node) -> None:
        if self.file is not None:
            self.file.append(node)
        self._nodes[node.key] = node

    # --- writing ---

    def _write(self, parts: Sequence[Part]) -> list[str]:
        """Asks for the parts that are not stored; returns the keys of all."""
        identity = self.policy.identity()
        requests = [request(part, identity, self.seed) for part in parts]
        asked = {r.key: (part, r) for r, part in zip(requests, parts, strict=True)}
        if getattr(self.policy, "chats", 1) > 1 and any(r.steps and not r.prefix for r in requests):
            raise ConfigError(
                "the policy's prompt has several chats, and a program that is rewritten as a whole "
                "cannot be written function by function: set policy.prompt to one of a single "
                'chat, such as "chain_of_function"'
            )
        for sample in answers(self.policy, requests, self._nodes):
            node = node_of(*asked[sample.key], sample)
            self._keep(node)
            if self.progress is not None and node.complete:
                self.progress.advance()
        missing = sum(key not in self._nodes for key in asked)
        if missing and not self.policy.unanswered_is_final:
            raise PolicyError(
                f"{missing} of {len(asked)} parts of programs were not answered: what was answered "
                "is stored; run the same command again to ask for the rest"
            )
        return [r.key for r in requests]

    # --- what is found out of a node ---

    def _score(self, keys: Iterable[str], problems: Mapping[str, Problem]) -> None:
        assert self.scorer is not None
        known = [self._nodes[key] for key in keys if key in self._nodes]
        new = [x for x in known if x.model != self._model and (x.goes_on or x.complete)]
        programs = [self._labelled(node, problems[node.problem_id]) for node in new]
        missing = 0
        for node, scores in zip(new, self.scorer.score(programs), strict=True):
            if scores is None:
                missing += 1
            else:
                self._keep(self._scored(node, scores))
        if missing:
            raise PolicyError(
                f"{missing} of {len(new)} parts of programs were not scored: all other scores "
                "are stored; run the same command again to ask for the rest"
            )

    def _scored(self, node: Node, scores: tuple[float, ...]) -> Node:
        paid = scores if isinstance(scores, PaidScores) else PaidScores(scores)
        return replace(
            node,
            model=self._model,
            scores=tuple(paid),
            score_tokens=paid.tokens,
            score_cost=paid.cost,
        )

    def _labelled(self, node: Node, problem: Problem) -> LabelledProgram:
        code = whole_steps(node)
        ends, _ = find_steps(code, max_steps=self.max_steps)
        return LabelledProgram(
            generation=node.key,
            problem_id=problem.problem_id,
            statement=render_statement(problem),
            steps=step_texts(code, ends),
            prefixes=(),
        )

    def _judge(
        self,
        keys: Iterable[str],
        problems: Mapping[str, Problem],
        executor: Callable[[], Executor],
    ) -> None:
        jobs = []
        for key in keys:
            node = self._nodes.get(key)
            if node is None or not node.complete or node.passed is not None:
                continue
            suite = problems[node.problem_id].public
            if suite is not None and suite.has_tests:
                jobs.append(Job(key=key, code=node.code, suite=suite))
        for verdict in executor().judge(jobs) if jobs else ():
            self._keep(replace(self._nodes[verdict.key], passed=verdict.passed))
