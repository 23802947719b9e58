"""The application: all routes behind one guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp

from funprm import __version__
from funprm.serve import chat, errors, messages, operations, page, rewards, sandbox
from funprm.serve.guard import Guard
from funprm.serve.services import Services


def make_app(services: Services, key: str = "") -> ASGIApp:
    """The application (ASGI) of a server.

    Args:
        services: what it works with; closed when the application ends.
        key: what clients must have; empty: nothing, and then only this machine is served.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await services.close()

    app = FastAPI(
        title="funprm serve",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    errors.add_handlers(app)
    for part in (chat, messages, rewards, sandbox, page, operations):
        app.include_router(part.routes(services))
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return Guard(app, services, key)


def _described(app: FastAPI) -> dict[str, Any]:
    """The description, without the status 422, which is 400 here."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        app.openapi_schema = schema
    return app.openapi_schema
