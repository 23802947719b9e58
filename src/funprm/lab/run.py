"""A laboratory from start to report: cells that are missing, then what all of them say."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from funprm import __version__
from funprm.interfaces import Progress
from funprm.lab import corruptions, methods
from funprm.lab.config import LabConfig
from funprm.lab.corruptions import Corruption, parse_corruption
from funprm.lab.methods import Experiment, Measurement, cell_key, check_methods, measure
from funprm.lab.parallel import each_seed
from funprm.lab.report import write_reports
from funprm.lab.results import summarise
from funprm.lab.world import LabData, open_world
from funprm.prm.identity import base_identity
from funprm.records import Json, key_of
from funprm.store import RecordFile, RunFolder


def run_lab(config: LabConfig, progress: Progress) -> str:
    """Does what is missing; the text of the report.

    Everything is stored in `config.output`: `worlds/` (programs, completions and truth of each
    seed), `cells/` (one line per cell, written the moment it is done), and the report.

    Raises:
        FunprmError: wrong settings, or what a cell raised; finished cells are kept.
    """
    config = complete(config)
    with RunFolder(Path(config.output), _determining(config)) as folder:
        _cells(config, progress)
        results = summarise(config, stored_cells(config))
        return write_reports(results, folder.path)


def complete(config: LabConfig) -> LabConfig:
    """The settings with all names written out and checked.

    Raises:
        ConfigError: an unknown corruption or method.
    """
    config = replace(
        config,
        corruptions=config.corruptions or corruptions.STANDARD,
        methods=config.methods or tuple(methods.STANDARD),
        processes=config.processes or len(os.sched_getaffinity(0)),
    )
    check_methods(config.methods)
    for text in config.corruptions:
        parse_corruption(text)
    return config


def _determining(config: LabConfig) -> dict[str, Json]:
    """What determines a cell; seeds, corruptions and methods may grow in the same folder."""
    return {
        "funprm": __version__,
        "sizes": asdict(config.sizes),
        "hot": config.hot,
        "train": methods.settings_of(config.train),
    }


def _settings(config: LabConfig) -> str:
    """Digest of what determines all cells, the base model's files with it."""
    return key_of(_determining(config), base_identity(config.train.base))


def _cells(config: LabConfig, progress: Progress) -> None:
    settings, seeds = _settings(config), range(config.seeds)
    wanted = {seed: set(_keys(config, settings, seed)) for seed in seeds}
    left = {seed: wanted[seed] - _stored(config, seed).keys() for seed in seeds}
    cells = sum(map(len, wanted.values()))
    progress.start("lab", cells, cells - sum(map(len, left.values())))
    seen = _count(config)

    def look() -> None:
        nonlocal seen
        count = _count(config)
        progress.advance(count - seen)
        seen = count

    missing = [seed for seed in seeds if left[seed]]
    each_seed(work_seed, config, missing, min(config.processes, len(missing) or 1), look)
    progress.finish(f"{cells} cells: {config.seeds} seeds")


def _keys(config: LabConfig, settings: str, seed: int) -> list[str]:
    keys = [cell_key(settings, seed, c, m) for c in config.corruptions for m in config.methods]
    return list(dict.fromkeys(keys))


def work_seed(config: LabConfig, seed: int) -> None:
    """Measures the cells of a seed that are not stored yet."""
    settings = _settings(config)
    wanted = set(_keys(config, settings, seed)) - _stored(config, seed).keys()
    world = open_world(config, seed, Path(config.output) / "worlds")
    with _file(config, seed) as file:
        for text in config.corruptions:
            keys = {name: cell_key(settings, seed, text, name) for name in config.methods}
            names = {name: key for name, key in keys.items() if key in wanted}
            for cell in _measured(config, world, parse_corruption(text), names):
                file.append(cell)
                wanted.discard(cell.key)


def _measured(
    config: LabConfig, world: LabData, corruption: Corruption, keys: Mapping[str, str]
) -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory(prefix="funprm-lab-") as folder:
        experiment = Experiment(world, corruption, config.train, Path(folder))
        for name, key in keys.items():
            yield measure(experiment, name, key)


def _file(config: LabConfig, seed: int) -> RecordFile[Measurement]:
    folder = Path(config.output) / "cells"
    folder.mkdir(parents=True, exist_ok=True)
    return RecordFile(folder / f"seed-{seed}.jsonl", Measurement)


def _stored(config: LabConfig, seed: int) -> dict[str, Measurement]:
    return {cell.key: cell for cell in _file(config, seed)}


def _count(config: LabConfig) -> int:
    """Cells stored so far, wanted ones or not: lines, which is cheap to count."""
    paths = (_file(config, seed).path for seed in range(config.seeds))
    return sum(path.read_bytes().count(b"\n") for path in paths if path.exists())


def stored_cells(config: LabConfig) -> list[Measurement]:
    """All wanted cells that are stored, seed after seed."""
    settings, found = _settings(config), []
    for seed in range(config.seeds):
        stored = _stored(config, seed)
        found += [stored[key] for key in _keys(config, settings, seed) if key in stored]
    return found
