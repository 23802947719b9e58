"""One server for most tests: a reward model, and an upstream that does as each test says."""

from collections.abc import Iterator

import pytest

from funprm.testing.server import Script, Server, serve
from tests.models import save_prm
from tests.serve.world import Served, served


@pytest.fixture(scope="session")
def prm(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_prm(tmp_path_factory.mktemp("serve") / "model"))


@pytest.fixture(scope="session")
def fake() -> Iterator[Server]:
    with serve() as server:
        yield server


@pytest.fixture(scope="session")
def shared(fake: Server, prm: str) -> Iterator[Served]:
    with served(upstream=fake.url, prm=prm) as server:
        yield server


@pytest.fixture
def upstream(fake: Server) -> Server:
    """The upstream of `server`, as new."""
    fake.script = Script()
    fake.bodies.clear()
    fake.most_at_once = 0
    return fake


@pytest.fixture
def server(shared: Served, upstream: Server) -> Served:
    return shared
