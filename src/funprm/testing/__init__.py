"""Entry exams for parts of others, and fakes to test them with.

An exam examines what `interfaces` asks of a part, as far as that shows from outside. It returns
nothing, or raises an AssertionError that lists every promise that is broken.
"""

from funprm.console import SilentProgress
from funprm.testing.corrections import check_correction
from funprm.testing.datasets import check_dataset
from funprm.testing.executors import check_executor
from funprm.testing.fakes import ScriptedPolicy
from funprm.testing.policies import check_policy
from funprm.testing.scorers import check_scorer

__all__ = [
    "ScriptedPolicy",
    "SilentProgress",
    "check_correction",
    "check_dataset",
    "check_executor",
    "check_policy",
    "check_scorer",
]
