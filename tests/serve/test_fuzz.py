"""Requests made from the description of all operations: none gets a status of 500 or above."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

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
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_request_breaks_the_server(server: Served, upstream: Server, mode: str) -> None:
    upstream.script.answer = lambda body, index: "print(1)"
    seen = 0
    for operation in operations(server):
        generation = schemathesis.GenerationMode(mode)

        @_FEW
        @given(st.data())
        def one(data: Any, operation: Any = operation, generation: Any = generation) -> None:
            nonlocal seen
            case = data.draw(operation.as_strategy(generation_mode=generation))
            body = case.body
            if isinstance(body, dict):  # bounds what one example costs
                for name in ("budget", "n"):
                    if isinstance(body.get(name), int) and body[name] > 2:
                        body[name] = 2
            answer = case.call(timeout=60)
            seen += 1
            assert answer.status_code < 500, (case.as_curl_command(), answer.text)

        one()
    assert seen > 100
    assert server.get("/health").status_code == 200


def test_the_description_is_whole(server: Served) -> None:
    described = server.get("/openapi.json").json()
    for path in ("/v1/chat/completions", "/v1/messages", "/steps", "/score", "/run_code", "/judge"):
        operation = described["paths"][path]["post"]
        assert "422" not in operation["responses"]
        assert operation["responses"]["400"]["content"]["application/json"]["schema"]
        assert operation["requestBody"]["content"]["application/json"]["schema"]
