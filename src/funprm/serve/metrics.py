"""Numbers for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """All counts of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "funprm_requests", "Requests by route and status.", ["route", "status"],
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "funprm_request_seconds", "Seconds to the last byte of an answer.", ["route"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.in_flight = self._gauge("funprm_requests_in_flight", "Requests being answered.")
        self.waiting = self._gauge("funprm_best_of_n_waiting", "Best-of-N requests that wait.")
        self.candidates = self._counter("funprm_candidates", "Answers of the upstream.")
        self.failures = self._counter("funprm_upstream_failures", "Calls without an answer.")
        self.prompt_tokens = self._counter("funprm_prompt_tokens", "Of all candidates.")
        self.completion_tokens = self._counter("funprm_completion_tokens", "Of all candidates.")
        self.scored = self._counter("funprm_programs_scored", "Programs that were scored.")
        self.passes = self._counter("funprm_score_passes", "Calls of the reward model.")
        self.score_queue = self._gauge("funprm_score_queue", "Programs that wait for a score.")
        self.judged = Counter(
            "funprm_programs_judged", "Programs by verdict.", ["status"], registry=self.registry
        )
        self.judge_queue = self._gauge("funprm_judge_queue", "Programs without a verdict yet.")

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
