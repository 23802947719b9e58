"""Requests made from the description of all operations: none gets a status of 500 or above."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from funprm.testing.server import Server
from tests.serve.world import Served

_FEW = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def operations(server: Served) -> list[Any]:
    schema: Any = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    found = [operation.ok() for operation in schema.get_all_operations()]
    return [operation for operation in found if operation.method == "post"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_request_breaks_the_server(server: Served, upstream: Server, mode: str) -> None:
    upstream.script.answer = lambda body, index: "print(1)"
    seen = [
        status
        for operation in operations(server)
        for status in statuses(operation, schemathesis.GenerationMode(mode))
    ]
    assert len(seen) > 100
    assert max(seen) < 500
    assert server.get("/health").status_code == 200


def statuses(operation: Any, mode: schemathesis.GenerationMode) -> list[int]:
    """Statuses of generated requests."""
    found: list[int] = []

    @_FEW
    @given(operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        if isinstance(case.body, dict):  # bounds what one example costs
            cheap = {name: min(case.body[name], 2) for name in ("budget", "n") if _big(case, name)}
            case.body = {**case.body, **cheap}
        answer = case.call(timeout=60)
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)
        found.append(answer.status_code)

    one()
    return found


def _big(case: Any, name: str) -> bool:
    return type(case.body.get(name)) is int and case.body[name] > 2


def test_the_description_is_whole(server: Served) -> None:
    described = server.get("/openapi.json").json()
    for path in ("/v1/chat/completions", "/v1/messages", "/steps", "/score", "/run_code", "/judge"):
        operation = described["paths"][path]["post"]
        assert "422" not in operation["responses"]
        assert operation["responses"]["400"]["content"]["application/json"]["schema"]
        assert operation["requestBody"]["content"]["application/json"]["schema"]
