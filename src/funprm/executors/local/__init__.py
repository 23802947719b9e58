"""The host: workers started, jobs dispatched, verdicts made."""

from funprm.executors.local.executor import RULES, LocalExecutor, doctor, probe

__all__ = ["RULES", "LocalExecutor", "doctor", "probe"]
