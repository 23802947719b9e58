"""What a model's logits become: scores in [0, 1], whatever the model's own range."""

import math
from collections.abc import Sequence
from typing import Literal, get_args

from funprm.errors import ConfigError, ModelError

Activation = Literal["auto", "sigmoid", "softmax", "none"]


def check_activation(activation: str, scale: float) -> None:
    """Refuse settings that stand for nothing.

    Raises:
        ConfigError: an unknown activation, or a scale that is not above 0.
    """
    if activation not in get_args(Activation):
        known = ", ".join(get_args(Activation))
        raise ConfigError(f"activation = {activation!r}: expected one of {known}")
    if not 0 < scale < math.inf:
        raise ConfigError(f"scale = {scale}: expected a number above 0")


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), without overflow.

    >>> sigmoid(0.0), sigmoid(-1000.0), sigmoid(1000.0)
    (0.5, 0.0, 1.0)
    """
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    small = math.exp(logit)
    return small / (1 + small)


def softmax(logits: Sequence[float], place: int) -> float:
    """The probability of one of several labels.

    >>> softmax([0.0, 0.0], 1)
    0.5
    """
    most = max(logits)
    weights = [math.exp(logit - most) for logit in logits]
    return weights[place] / math.fsum(weights)


def score_of(logits: Sequence[float], place: int, activation: Activation, scale: float) -> float:
    """One number in [0, 1] from a model's logits.

    Args:
        logits: one per label.
        place: of the label whose score is wanted.
        activation: `auto` has been decided before; `none` takes the number as it is.
        scale: logits are divided by it: greater ones saturate later.

    Raises:
        ModelError: the number is not finite, or, as it is, not in [0, 1].
    """
    if not all(map(math.isfinite, logits)):
        raise ModelError(f"the model gave the logits {list(logits)}: expected finite numbers")
    if activation == "softmax":
        return softmax([logit / scale for logit in logits], place)
    if activation == "sigmoid":
        return sigmoid(logits[place] / scale)
    if not 0.0 <= logits[place] <= 1.0:
        raise ModelError(
            f"the model gave {logits[place]:.4g}, which is not in [0, 1]: set activation = "
            '"sigmoid", which keeps the order'
        )
    return logits[place]
