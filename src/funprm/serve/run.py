"""A server process: from settings to a listening server."""

import asyncio
import contextlib
import os
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from funprm import registry
from funprm.commands.one_problem import ProcessRewardModel
from funprm.config import ComponentConfig, load_config
from funprm.errors import ConfigError
from funprm.serve.app import make_app
from funprm.serve.connections import uvicorn_config
from funprm.serve.guard import is_loopback
from funprm.serve.judging import JudgePool
from funprm.serve.log import LOG, log_to
from funprm.serve.metrics import Metrics
from funprm.serve.scoring import BatchedScorer
from funprm.serve.services import Services
from funprm.serve.settings import ServeSettings, serve_settings
from funprm.serve.upstream import OpenAIUpstream, PolicyUpstream, Upstream

KEY_VARIABLE = "FUNPRM_SERVE_KEY"
_BACKLOG = 2048


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What is served, and where."""

    host: str = "127.0.0.1"
    port: int = 8000
    upstream: str = ""
    """Address of a server of OpenAI's protocol, below which `/chat/completions` lies."""
    upstream_key_env: str = "OPENAI_API_KEY"
    """The environment variable with its key."""
    prm: str = ""
    """Folder of a reward model."""
    key_env: str = KEY_VARIABLE
    """The environment variable with the key that clients must have."""
    config: Path | None = None
    """A run's file, of which policy and executor count."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """By dotted key: `serve.NAME`, `policy.NAME`, `executor.NAME`."""


def serve(serving: Serving) -> None:
    """Serve until a signal ends it; accepted requests are finished.

    Raises:
        FunprmError: a setting is wrong, a model cannot be opened, or the address is taken.
    """
    key = _key(serving)
    own, others = _split(serving.settings)
    settings = serve_settings(own)
    services = open_services(serving, settings, others)
    listener = listening(serving.host, serving.port)
    log_to(sys.stderr)
    host, port = listener.getsockname()[:2]
    LOG.info("serving", extra={"fields": {"url": f"http://{host}:{port}/", "port": port}})
    server = uvicorn.Server(uvicorn_config(make_app(services, key), settings))
    with contextlib.suppress(KeyboardInterrupt):  # raised again when all is finished
        asyncio.run(server.serve([listener]))


def open_services(serving: Serving, settings: ServeSettings, others: Mapping[str, Any]) -> Services:
    """All parts, opened.

    Args:
        serving: what is served.
        settings: limits.
        others: settings of policy and executor, by dotted key.

    Raises:
        FunprmError: as of `serve`.
    """
    given = {"output": "", "dataset": {"name": "statement"}, "models": {}}
    config = load_config(serving.config, {**others, **given})
    if serving.upstream and config.policy is not None:
        raise ConfigError("both an upstream and a policy are given: give one of them")
    metrics = Metrics()
    executor = config.executor

    def make(*, workers: int) -> Any:  # noqa: ANN401  (what the registry builds)
        return registry.build("executors", executor.name, {**executor.options, "workers": workers})

    make(workers=1).close()  # a wrong option is told now, and not to the first request
    scorer = None
    if serving.prm:
        scorer = BatchedScorer(ProcessRewardModel(serving.prm), settings, metrics)
    judge = JudgePool(make, settings, metrics)
    return Services(
        settings=settings,
        metrics=metrics,
        judge=judge,
        upstream=_upstream(serving, config.policy, settings, judge),
        scorer=scorer,
    )


def _upstream(
    serving: Serving, policy: ComponentConfig | None, settings: ServeSettings, judge: JudgePool
) -> Upstream | None:
    if serving.upstream:
        if not re.match(r"https?://[^/]", serving.upstream):
            raise ConfigError(f"upstream {serving.upstream!r}: expected http://... or https://...")
        return OpenAIUpstream(serving.upstream, serving.upstream_key_env, settings)
    if policy is None:
        return None
    name = str(policy.options.get("model", policy.name))
    return PolicyUpstream(registry.build("policies", policy.name, policy.options), name, judge)


def _key(serving: Serving) -> str:
    """The key that clients must have; other machines are served with one only."""
    key = os.environ.get(serving.key_env, "").strip()
    if key and not re.fullmatch(r"[\x21-\x7e]+", key):
        raise ConfigError(f"the environment variable {serving.key_env} holds no key: blanks in it")
    if not key and not is_loopback(serving.host):
        raise ConfigError(
            f"--host {serving.host} would serve other machines without a key: set the environment "
            f"variable {serving.key_env}, or serve 127.0.0.1"
        )
    return key


def _split(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    own = {
        key.removeprefix("serve."): value
        for key, value in settings.items()
        if key.startswith("serve.")
    }
    others = {key: value for key, value in settings.items() if not key.startswith("serve.")}
    for key in others:
        if key.partition(".")[0] not in ("policy", "executor"):
            raise ConfigError(f"--set {key}: expected serve.NAME, policy.NAME or executor.NAME")
    return own, others


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens at an address; whoever connects from now on will be served.

    Raises:
        ConfigError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot serve {host}, port {port} ({error.strerror}): give others by --host and --port"
        ) from error
    return listener
