"""FunPRM: process reward models for code, in which every function is a step.

The nouns and verbs below are opened when they are first used, so that importing stays instant and
torch is loaded only with a model. `__init__.pyi` tells type checkers where they are.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "Case": "records",
    "Generation": "records",
    "Problem": "records",
    "Suite": "records",
    "HuggingFacePolicy": "policies.huggingface.policy",
    "OpenAIPolicy": "policies.openai.policy",
    "ReplayPolicy": "policies.replay",
    "LocalExecutor": "executors.local.executor",
    "doctor": "executors.local.executor",
    "ProcessRewardModel": "commands.one_problem",
    "ProgramScorer": "commands.one_problem",
    "FunctionScores": "commands.one_problem",
    "Judgement": "commands.one_problem",
    "Solution": "commands.solution",
    "RunResult": "pipeline.reporting",
    "sample": "api.problems",
    "asample": "api.problems",
    "judge": "api.problems",
    "load_prm": "api.problems",
    "load_scorer": "api.problems",
    "select": "api.problems",
    "solve": "api.problems",
    "asolve": "api.problems",
    "steps_of": "api.problems",
    "run": "api.runs",
    "run_stage": "api.runs",
    "demo": "api.runs",
    "run_lab": "api.runs",
    "judge_file": "api.runs",
    "grade": "api.runs",
    "check_scorer": "api.runs",
    "compare": "api.runs",
    "quality": "api.runs",
    "check_dataset": "api.runs",
    "check_prompt": "api.runs",
    "export": "api.runs",
    "import_programs": "api.runs",
    "validate_problems": "api.runs",
    "render": "api.models",
    "merge": "api.runs",
    "merge_adapters": "api.models",
    "push": "api.models",
    "FunprmError": "errors",
}
"""The module of every name."""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        from funprm.errors import missing_package

        raise missing_package(f"funprm.{name}", error) from error
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
