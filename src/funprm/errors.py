"""Every error the package raises on purpose.

FunprmError                the command line prints its one line and exits with 2
├── InputError             what the user gave cannot be used
│   ├── ConfigError        a setting: unknown key, wrong type, value out of range
│   ├── RecordError        a line of a record file that cannot be read
│   ├── DataError          a problem or program that cannot be used (no tests, no programs, ...)
│   └── ModelError         a model folder or checkpoint that cannot be used
├── StoreError             the run folder: other settings, no space left, not writable
├── PolicyError            the policy cannot answer (endpoint, key, model name)
├── ExecutorError          the judge cannot work (isolation missing, interpreter missing)
├── TrainingError          training cannot go on (loss is NaN, empty meta set, out of memory)
└── MissingPackageError    a package of one of the extras is not installed

A message says what was got, what was expected, and what to do.
"""

import difflib
from collections.abc import Iterable


class FunprmError(Exception):
    """Base of all errors raised on purpose; its text is one line for the user."""


class InputError(FunprmError):
    """What the user gave cannot be used."""


class ConfigError(InputError):
    """A setting is unknown, has the wrong type, or is out of range."""


class RecordError(InputError):
    """A line of a record file cannot be read."""


class DataError(InputError):
    """A problem or a program cannot be used."""


class ModelError(InputError):
    """A model folder or checkpoint cannot be used."""


class StoreError(FunprmError):
    """A run folder cannot be used: other settings, no space left, not writable."""


class PolicyError(FunprmError):
    """The policy cannot answer."""


class ExecutorError(FunprmError):
    """The judge cannot work."""


class TrainingError(FunprmError):
    """Training cannot go on."""


class MissingPackageError(FunprmError, ImportError):
    """A package of one of the extras is not installed."""


_EXTRAS = {
    "train": ("torch", "transformers", "peft", "safetensors", "tokenizers"),
    "serve": ("httpx",),
    "server": ("fastapi", "pydantic", "starlette", "uvicorn", "prometheus_client"),
    "report": ("jinja2", "markupsafe", "matplotlib"),
    "data": ("huggingface_hub", "pyarrow"),
    "distributed": ("accelerate",),
    "tensorboard": ("tensorboard",),
}
"""Packages by the extra that installs them."""


def missing_package(what: str, error: ModuleNotFoundError) -> MissingPackageError:
    """The error that says how to install what could not be imported.

    >>> print(missing_package("this", ModuleNotFoundError(name="torch")))
    this needs the package 'torch', which is not installed: pip install 'funprm[train]'

    Args:
        what: needs the package.
        error: as the import raised it.
    """
    package = (error.name or "").partition(".")[0]
    extra = next((name for name, packages in _EXTRAS.items() if package in packages), "")
    install = f"'funprm[{extra}]'" if extra else package
    return MissingPackageError(
        f"{what} needs the package {package!r}, which is not installed: pip install {install}",
        name=package,
    )


def nearest(name: str, known: Iterable[str], most: int = 50) -> str:
    """The end of an error message: the nearest known name, or all of them (at most so many).

    >>> nearest("temprature", ["temperature", "top_p"])
    "did you mean 'temperature'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"known are: {', '.join(names[:most])}{more}"
