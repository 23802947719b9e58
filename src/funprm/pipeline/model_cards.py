"""What a finished run adds to the cards of its models."""

from pathlib import Path

from funprm import registry
from funprm.config import ComponentConfig
from funprm.pipeline.run import Run
from funprm.pipeline.training import model_folder
from funprm.prm.card import describe_run
from funprm.report.data import ReportData
from funprm.report.model_card import about_run


def write_cards(run: Run, data: ReportData) -> None:
    """Puts data, numbers and isolation into the cards of all models."""
    if not run.trained:
        return
    config = run.config
    policy = config.needed_policy()
    parts = {
        "data set": _published("datasets", config.dataset),
        "policy": _published("policies", policy),
        "completer": _published("policies", config.completer or policy),
        "executor": config.executor.name,
        "layers": _layers(config.executor),
    }
    for name, trained in run.trained.items():
        text = about_run(data, name, trained, parts)
        describe_run(model_folder(run, name) / "model", text)


def _published(group: registry.Group, part: ComponentConfig) -> str:
    """A part and its options, less those that change no result; of paths the last name."""
    free = registry.transport(group, part.name)
    kept = {key: value for key, value in part.options.items() if key not in free}
    shown = {k: Path(v).name if isinstance(v, str) else v for k, v in kept.items()}
    return " ".join([part.name, *(f"{key}={value}" for key, value in shown.items())])


def _layers(executor: ComponentConfig) -> str:
    """Which layers of isolation were demanded, and which were left out."""
    demanded = ", ".join(executor.options.get("require_isolation", ())) or "the standard ones"
    off = ", ".join(executor.options.get("disable", ()))
    return f"{demanded}{f'; left out: {off}' if off else ''}"
