"""Names to components, through entry points: the built-in ones use the same door as others'."""

import inspect
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_type_hints

import msgspec

from funprm.errors import ConfigError, missing_package, nearest

Group = Literal["datasets", "policies", "executors", "corrections", "scorers", "searches"]
_SINGULAR = {
    "datasets": "data set",
    "policies": "policy",
    "executors": "executor",
    "corrections": "correction",
    "scorers": "scorer",
    "searches": "search",
}


def names(group: Group) -> list[str]:
    """The registered names of a group, sorted."""
    return sorted(point.name for point in entry_points(group=f"funprm.{group}"))


def component(group: Group, name: str) -> Any:  # noqa: ANN401  (a class of any group)
    """The class registered under a name, or the one that `module:Class` names.

    Raises:
        ConfigError: unknown name.
        MissingPackageError: the extra that it needs is not installed.
    """
    what = f"{_SINGULAR[group]} {name!r}"
    registered = list(entry_points(group=f"funprm.{group}", name=name))
    if not registered and ":" in name:
        registered = [EntryPoint(name=name, value=name, group=f"funprm.{group}")]
    for point in registered:
        try:
            return point.load()
        except ModuleNotFoundError as error:
            raise missing_package(what, error) from error
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"{what} cannot be loaded from {point.value}: {error}") from error
    raise ConfigError(f"unknown {what}: {nearest(name, names(group))}")


def transport(group: Group, name: str) -> frozenset[str]:
    """Options of a part that do not determine its results, as its class says.

    Raises:
        ConfigError: unknown name.
        MissingPackageError: the extra that it needs is not installed.
    """
    return frozenset(getattr(component(group, name), "transport", ()))


def check_options(group: Group, name: str, options: Mapping[str, Any]) -> None:
    """Check option names against the constructor.

    Raises:
        ConfigError: an option the constructor does not take, or one it needs and did not get.
    """
    parameters = inspect.signature(component(group, name)).parameters
    where = f"{_SINGULAR[group]} {name!r}"
    for option in options:
        if option not in parameters:
            raise ConfigError(f"{where} has no setting {option!r}: {nearest(option, parameters)}")
    for parameter in parameters.values():
        if parameter.default is parameter.empty and parameter.name not in options:
            raise ConfigError(f"{where} needs the setting {parameter.name!r}")


def build(group: Group, name: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Construct a component from its configuration.

    Raises:
        ConfigError: unknown name or option, or a value of the wrong type.
    """
    check_options(group, name, options)
    made = component(group, name)
    hints = get_type_hints(made.__init__)
    values = {}
    for option, value in options.items():
        try:
            values[option] = msgspec.convert(value, hints.get(option, Any))
        except msgspec.ValidationError as error:
            raise ConfigError(
                f"{_SINGULAR[group]} {name!r}: {option} = {value!r} is not usable ({error})"
            ) from error
    return made(**values)
