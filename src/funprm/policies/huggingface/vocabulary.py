"""What tokens of a vocabulary mean: which end an answer, which hold a sign."""

from pathlib import Path
from typing import Any

from funprm.language_models import read_json


def stop_tokens(folder: Path, tokenizer: Any) -> frozenset[int]:  # noqa: ANN401 - untyped
    """The tokens that end an answer: the tokenizer's, and those of the generation settings."""
    found = {tokenizer.eos_token_id}
    for name in ("config.json", "generation_config.json"):
        ids = read_json(folder / name).get("eos_token_id")
        found.update(ids if isinstance(ids, list) else [ids])
    return frozenset(token for token in found if token is not None)


def tokens_with(text: str, tokenizer: Any) -> frozenset[int]:  # noqa: ANN401 - untyped
    """The tokens that contain a text of ASCII letters or signs, which all tokenizers keep."""
    return frozenset(i for token, i in tokenizer.get_vocab().items() if text in token)
