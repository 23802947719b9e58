"""What operators ask: is it alive, is it ready, and how is it doing."""

import time
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from funprm.errors import ExecutorError
from funprm.serve.services import Services

_KNOWN_FOR = 10.0
"""Seconds after which the judge is asked again whether it works."""


def routes(services: Services) -> APIRouter:
    """The routes for operators."""
    router = APIRouter(tags=["operations"])
    readiness = _Readiness(services)

    @router.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @router.get("/ready", responses={503: {"description": "Not ready."}})
    async def ready() -> Any:  # noqa: ANN401
        """Whether requests should be sent here: isolation works."""
        found = await readiness.found()
        return JSONResponse(found, 200 if found["ready"] else 503)

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Counts for Prometheus."""
        return Response(services.metrics.text(), media_type="text/plain; version=0.0.4")

    return router


class _Readiness:
    """What is known of the parts."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._judge = (False, "")
        self._asked = -_KNOWN_FOR

    async def found(self) -> dict[str, Any]:
        """Every part with its state."""
        services = self._services
        if time.monotonic() - self._asked >= _KNOWN_FOR:
            self._asked = time.monotonic()
            self._judge = await self._ask()
        isolated, told = self._judge
        return {
            "ready": isolated,
            "judge": told,
            "upstream": services.upstream is not None,
            "reward_model": services.scorer is not None,
        }

    async def _ask(self) -> tuple[bool, str]:
        try:
            return True, await self._services.judge.check()
        except ExecutorError as error:
            return False, str(error)
