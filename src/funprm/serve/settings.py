"""What a server admits and how long it waits."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import msgspec

from funprm.errors import ConfigError, nearest


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Limits of a server; each is a setting `serve.NAME`.

    Raises:
        ConfigError: a number is below what makes sense.
    """

    n: int = 8
    """Programs that are sampled where a request does not say how many."""
    max_n: int = 64
    """Most programs that a request may ask for."""
    concurrency: int = 32
    """Best-of-N requests that are worked on at once."""
    queue: int = 128
    """Best-of-N requests that may wait; further ones get status 429."""
    max_body: int = 4 << 20
    """Bytes of a request."""
    max_programs: int = 1024
    """Programs, or texts, of one request for scores or verdicts."""
    batch_programs: int = 64
    """Most programs that are scored in one pass."""
    batch_wait: float = 0.002
    """Seconds that a request for scores waits for others to join its pass."""
    score_queue: int = 8192
    """Programs that may wait for a score."""
    judge_workers: int = 0
    """Programs that are judged at once; 0: one per core."""
    judge_queue: int = 2048
    """Programs that may wait for a verdict."""
    max_seconds: float = 30.0
    """Most CPU seconds per test that a request may ask for."""
    upstream_calls: int = 256
    """Calls to the upstream in flight."""
    upstream_seconds: float = 600.0
    """For one attempt of a call to the upstream, to its last byte."""
    upstream_retries: int = 2
    """Further attempts after a fault of the upstream."""
    keep_alive: float = 5.0
    """Seconds between signs of life of a stream whose answer is not chosen yet."""
    body_seconds: float = 30.0
    """For a request's body to arrive."""
    write_seconds: float = 30.0
    """For a client to take what is sent."""
    drain_seconds: float = 120.0
    """For accepted requests to finish at shutdown."""
    connections: int = 2048
    """Open connections; further ones get status 503."""
    log_programs: bool = False
    """Write statements and programs to the log."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            least = 0 if item.name in _MAY_BE_ZERO else 1e-9
            if not value >= least and not isinstance(value, bool):
                wanted = "0 or more" if least == 0 else "more than 0"
                raise ConfigError(f"serve.{item.name} is {value}: expected {wanted}")
        if self.n > self.max_n:
            raise ConfigError(f"serve.n is {self.n}, more than serve.max_n = {self.max_n}")


_MAY_BE_ZERO = ("queue", "batch_wait", "judge_workers", "upstream_retries")


def serve_settings(given: Mapping[str, Any]) -> ServeSettings:
    """Settings from values by name.

    Raises:
        ConfigError: an unknown name, or a value of the wrong type or out of range.
    """
    known = [item.name for item in fields(ServeSettings)]
    for name in given:
        if name not in known:
            raise ConfigError(f"no setting serve.{name}: {nearest(name, known)}")
    try:
        return msgspec.convert(dict(given), ServeSettings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"serve: {str(error).replace('$.', '')}") from error
