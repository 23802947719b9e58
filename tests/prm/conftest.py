"""A tiny base model, made once."""

from pathlib import Path

import pytest
import torch
import transformers

from tests.prm.world import make_base

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))
