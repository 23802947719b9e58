"""Training a reward model: the loop over its phases, validation, checkpoints.

Which phases a mode has is in `prm.training.schedule`.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from funprm.config import TrainConfig
from funprm.disk import write_atomically
from funprm.errors import ConfigError, ModelError, StoreError, TrainingError
from funprm.prm.correction.combined import Correction, records
from funprm.prm.correction.posterior import corrected_programs
from funprm.prm.correction.reward_table import RewardTable
from funprm.prm.correction.reweighting import Reweighter
from funprm.prm.distributed import Ranks, current
from funprm.prm.folder import load, store, warmup_of, write_jsonl
from funprm.prm.models.network import Opened, fitting_threads
from funprm.prm.models.opening import open_base, open_saved, save
from funprm.prm.reading import Reading, aggregator_of
from funprm.prm.rendering import Encoded
from funprm.prm.scoring import step_scores
from funprm.prm.training.curves import Board, Pace, peak_memory, summary_writer
from funprm.prm.training.data import TrainingData, known_outcomes
from funprm.prm.training.identity import RESULT, contents_of, files_of, result_of, training_key
from funprm.prm.training.optimizer_step import Learner
from funprm.prm.training.schedule import CORRECTING, Phase, plan, schedule
from funprm.prm.training.validation import metrics, not_worse
from funprm.records import Json, LabelledProgram, key_of

__all__ = ["TrainResult", "TrainingData", "train"]

CHECKPOINT_SECONDS = 120.0
"""At most so much work is lost when training is interrupted."""

SCORING_TOKENS = 8192
"""Tokens of a batch on validation."""

UNCORRECTED = Correction(None, None)

Report = Callable[[dict[str, Json]], None]


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What came of a training; the model is in `folder / "model"`."""

    folder: Path
    best_step: int
    """Optimiser step (warm-up included) whose weights were kept."""
    validation: Mapping[str, Json]
    """Of the kept weights on validation, see `validation.metrics`; empty without validation."""
    steps: int
    """Optimiser steps of the kept model's schedule."""
    rows: int
    """Distinct labelled partial programs."""
    rows_touched: int
    """How many of them the correction moved."""
    seconds: float
    tokens: int
    """Tokens of all forward passes of training, without padding."""
    not_fitting: int
    """Programs left out because their code exceeds `max_tokens`."""
    shortened: int
    """Programs whose statement lost its middle."""


def train(
    config: TrainConfig,
    data: TrainingData,
    folder: Path,
    *,
    report: Report | None = None,
    init: Path | None = None,
) -> TrainResult:
    """Trains one reward model; continues exactly where an earlier call was interrupted.

    Writes `model/` (the best checkpoint on validation), `curves.jsonl`, `corrected.jsonl` (modes
    that correct), `result.json`, and `state/`, from which a call with the same arguments resumes:
    on a CPU bitwise. A finished run is returned as it is. In a process group (see
    `distributed.joined`) all ranks call this with the same arguments and a folder that all of them
    see; the first one writes.

    Args:
        config: settings.
        data: labelled programs, split by problem.
        folder: where to write.
        report: called after every optimiser step (`advance` 1, `phase`, `step`, `steps`, `loss`)
            and with every entry of the curves (`advance` 0).
        init: another run's folder, whose warm-up is shared, or a saved model to start from.

    Raises:
        TrainingError: shared problems, nothing to learn from, loss not finite, out of memory.
        StoreError: the folder holds a run of other settings or data, or cannot be written.
        ConfigError: the warm-up of `init` is not the one these settings ask for; a package is
            missing; or the settings do not suit several processes.
        ModelError: the base model or `init` cannot be opened.
    """
    try:
        return _Run(config, data, Path(folder), report or (lambda _: None), init).run()
    except (RuntimeError, MemoryError) as error:
        text = str(error)
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in text:
            raise TrainingError(
                f"out of memory with {config.batch} programs per batch of up to "
                f"{config.max_tokens} tokens: lower train.batch (and raise train.accumulate), "
                "or set train.checkpointing = true"
            ) from error
        raise


class _Run:
    def __init__(
        self,
        config: TrainConfig,
        data: TrainingData,
        folder: Path,
        report: Report,
        init: Path | None,
    ) -> None:
        self._config, self._folder, self._report, self._init = config, folder, report, init
        self._started = time.monotonic()
        self._ranks = current()
        self._data = data
        data.check()
        contents = contents_of(data)
        self._key = training_key(config, contents, init)
        self._shared_key = training_key(config, contents, shared=True)
        self._reading = Reading(max_steps=data.max_steps, aggregator=aggregator_of(config.mode))

    def run(self) -> TrainResult:
        """Trains, or returns what a finished run stored."""
        if (finished := self._finished()) is not None:
            return finished
        _require_fit(self._config, self._ranks)
        self._prepare()
        self._resume()
        self._ranks.barrier()  # all have read before one writes
        self._pace = Pace(self._learner.tokens)
        with fitting_threads(self._opened.model), self._open_board() as self._board:
            while self._phase < len(self._plan.phases):
                self._run_phase(self._plan.phases[self._phase])
        return self._finish()

    # Preparation

    def _prepare(self) -> None:
        config, data = self._config, self._data
        first = self._ranks.first
        if first:
            (self._folder / "state").mkdir(parents=True, exist_ok=True)
        self._opened = self._open()
        self._not_fitting = self._shortened = 0
        programs = data.train
        if config.mode == "posterior":
            programs = corrected_programs(programs, self._folder if first else None)
        fitted = [self._render(programs), self._render(known_outcomes(data.meta))]
        self._table = RewardTable(
            (p for p, _ in fitted[0]), rate=config.correction_lr, prior=config.prior
        )
        self._correction = Correction(
            self._table if "table" in config.mode else None,
            Reweighter(len(self._table.rows), config.seed) if "reweight" in config.mode else None,
        )
        self._validation = self._render(known_outcomes(data.validation))
        self._plan = plan(config, self._table.rows, fitted[0], fitted[1])
        self._learner = Learner(self._opened, config, self._ranks)
        self._phase = self._step = 0
        self._losses: list[float] = []
        self._outer_losses: list[float] = []
        self._curves: list[dict[str, Json]] = []
        self._best: dict[str, Json] = {}
        self._spent = 0.0
        self._saved_at = time.monotonic()

    def _open(self) -> Opened:
        opened = open_base(self._config)
        if self._init is None or warmup_of(self._init).exists():
            return opened
        folder = self._init / "model" if (self._init / "model").exists() else self._init
        saved = open_saved(folder, self._config.device)
        try:
            opened.model.load_state_dict(saved.model.state_dict())
        except RuntimeError:
            raise ModelError(
                f"{folder} is not a {self._config.tuning} model on {self._config.base}: "
                "expected the same base and tuning as in these settings"
            ) from None
        return opened

    def _open_board(self) -> Board:
        wanted = self._config.tensorboard and self._ranks.first
        return Board(self._folder / "tensorboard" if wanted else None)

    def _render(self, programs: Sequence[LabelledProgram]) -> list[tuple[LabelledProgram, Encoded]]:
        encoded = self._opened.renderer.encode_all(programs, self._config.max_tokens)
        self._not_fitting += sum(e is None for e in encoded)
        self._shortened += sum(e is not None and e.shortened for e in encoded)
        return [(p, e) for p, e in zip(programs, encoded, strict=True) if e is not None]

    # The loop

    def _run_phase(self, phase: Phase) -> None:
        if self._step == 0:
            self._enter(phase)
        while self._step < phase.steps:
            self._advance(phase)
            self._step += 1
            last = self._step == phase.steps
            if last or (phase.first + self._step) % self._interval == 0:
                self._record(phase)
            elif time.monotonic() - self._saved_at >= CHECKPOINT_SECONDS:
                self._checkpoint()
        if phase.name == "warmup":
            self._keep_warmup()
        if phase.name == "correct":
            self._write_corrected()
        self._phase, self._step = self._phase + 1, 0
        self._checkpoint()

    @property
    def _interval(self) -> int:
        return max(1, round(self._config.evaluate_every * self._plan.epoch))

    def _enter(self, phase: Phase) -> None:
        if phase.name == "main" and self._config.mode in CORRECTING:
            self._ranks.barrier()
            self._learner.restore(load(warmup_of(self._folder)))

    def _advance(self, phase: Phase) -> None:
        examples = phase.batch(self._step)
        factor = schedule(phase.first + self._step, self._plan.steps)
        correction = UNCORRECTED if phase.name == "warmup" else self._correction
        try:
            if phase.outer is not None:
                outer = phase.outer.batch(self._step)
                loss, after = self._learner.correct(examples, outer, correction, factor)
            else:
                fit = self._learner.fit(examples, correction, factor, phase.pairwise)
                loss, after = fit.loss, None
        except TrainingError as error:
            names = ", ".join(e.generation for e in examples[:4])
            raise TrainingError(
                f"{error} at step {self._step} of phase {phase.name} (generations {names}, ...): "
                "the last checkpoint is kept; lower train.lr, or set train.clip"
            ) from None
        self._losses.append(loss)
        self._outer_losses += [] if after is None else [after]
        self._report(
            {
                "advance": 1,
                "phase": phase.name,
                "step": self._step + 1,
                "steps": phase.steps,
                "loss": loss,
                "outer_loss": after,
            }
        )

    def _record(self, phase: Phase) -> None:
        entry: dict[str, Json] = {
            "phase": phase.name,
            "step": phase.first + self._step,
            "epoch": (phase.first + self._step) / self._plan.epoch,
            "loss": sum(self._losses) / len(self._losses),
            "tokens_per_second": self._pace.rate(self._learner.tokens),
            "peak_memory": peak_memory(self._learner.device),
        }
        if phase.name == "correct":
            entry["outer_loss"] = sum(self._outer_losses) / len(self._outer_losses)
            entry |= self._table.diagnostics()
        self._losses, self._outer_losses = [], []
        if phase.validated:
            entry["validation"] = self._validate(entry["step"])
        self._curves.append(entry)
        self._report({"advance": 0, **entry})
        self._checkpoint()
        self._board.add(entry)  # after the checkpoint: it is not written again by a resumed run
        self._pace.mark(self._learner.tokens)

    def _validate(self, step: int) -> dict[str, Json]:
        found: dict[str, Json] = {}
        if self._validation:
            self._learner.model.eval()
            scores = self._scores([encoded for _, encoded in self._validation])
            self._learner.model.train()
            used = self._reading.aggregator
            found = metrics([program for program, _ in self._validation], scores, used)
        new = found.pop("by_problem", [0.0])
        top: list[float] = self._best.get("top") or new
        # Later weights are better unless validation says so beyond its noise.
        if not_worse(new, top):
            top = max(new, top, key=sum)
            self._best = {"step": step, "top": top, "metrics": found}
            extra = {
                "mode": self._config.mode,
                "base": self._config.base,
                "step": step,
                "reading": self._reading.settings(),
            }
            if self._ranks.first:
                save(self._opened, self._folder / "model", extra)
        return found

    def _scores(self, programs: Sequence[Encoded]) -> list[tuple[float, ...]]:
        """Step scores of programs; every rank computes its share and knows all."""
        distinct = list(dict.fromkeys(programs))
        own, pad = self._ranks.share(distinct), self._opened.renderer.pad_id
        scores = self._ranks.join(step_scores(self._learner.model, own, pad, SCORING_TOKENS))
        found = dict(zip(distinct, scores, strict=True))
        return [found[program] for program in programs]

    # Storing: the first rank's

    def _checkpoint(self) -> None:
        if not self._ranks.first:
            return
        write_jsonl(self._folder / "curves.jsonl", self._curves)
        state = {
            "key": self._key,
            "phase": self._phase,
            "step": self._step,
            "learner": self._learner.state(),
            "table": self._table.state(),
            "reweighter": self._correction.reweighter and self._correction.reweighter.state(),
            "losses": self._losses,
            "outer_losses": self._outer_losses,
            "curves": json.dumps(self._curves),
            "best": json.dumps(self._best),
            "seconds": self._seconds(),
        }
        store(state, self._folder / "state" / "checkpoint.pt")
        self._saved_at = time.monotonic()

    def _resume(self) -> None:
        path = self._folder / "state" / "checkpoint.pt"
        if not path.exists():
            self._adopt_warmup()
            return
        state = load(path)
        self._refuse_other(state["key"])
        self._learner.restore(state["learner"])
        self._learner.tokens = state["learner"]["tokens"]
        self._table.restore(state["table"])
        if self._correction.reweighter is not None:
            self._correction.reweighter.restore(state["reweighter"])
        self._phase, self._step = state["phase"], state["step"]
        self._losses, self._outer_losses = state["losses"], state["outer_losses"]
        self._spent = state["seconds"]
        self._curves, self._best = json.loads(state["curves"]), json.loads(state["best"])

    def _adopt_warmup(self) -> None:
        """Starts after the warm-up of another run, if it is the one wanted here."""
        if self._init is None or not warmup_of(self._init).exists():
            return
        if self._plan.phases[0].name != "warmup":
            raise ConfigError(
                f"mode {self._config.mode!r} has no warm-up to take from {self._init}"
            )
        state = load(warmup_of(self._init))
        if state["key"] != self._shared_key:
            raise ConfigError(
                f"the warm-up in {self._init} had other settings or data: "
                "expected equal ones but for mode and correction; train without init"
            )
        self._learner.restore(state)
        if self._ranks.first:
            store(state, warmup_of(self._folder))
        self._phase = 1

    def _keep_warmup(self) -> None:
        if self._ranks.first:
            store({"key": self._shared_key, **self._learner.state()}, warmup_of(self._folder))

    def _write_corrected(self) -> None:
        if self._ranks.first:
            rows = list(records(self._table, self._correction))
            write_jsonl(self._folder / "corrected.jsonl", rows)

    def _seconds(self) -> float:
        return self._spent + time.monotonic() - self._started

    def _finish(self) -> TrainResult:
        result = TrainResult(
            folder=self._folder,
            best_step=self._best["step"],
            validation=self._best["metrics"],
            steps=self._plan.steps,
            rows=len(self._table.rows),
            rows_touched=int(self._table.touched.sum()),
            seconds=self._seconds(),
            tokens=self._learner.tokens,
            not_fitting=self._not_fitting,
            shortened=self._shortened,
        )
        if self._ranks.first:
            self._write_result(result)
        self._ranks.barrier()  # what another model starts from is written
        return result

    def _write_result(self, result: TrainResult) -> None:
        stored = {**asdict(result), "key": self._key, "files": files_of(self._folder)}
        del stored["folder"]
        stored["digest"] = key_of(json.loads(json.dumps(stored)))
        text = json.dumps(stored, indent=2) + "\n"
        write_atomically(self._folder / RESULT, text.encode())
        (self._folder / "state" / "checkpoint.pt").unlink(missing_ok=True)

    def _finished(self) -> TrainResult | None:
        stored = result_of(self._folder)
        if stored is None:
            return None
        self._refuse_other(stored.pop("key"))
        del stored["files"]
        return TrainResult(folder=self._folder, **stored)

    def _refuse_other(self, key: str) -> None:
        if key != self._key:
            raise StoreError(
                f"{self._folder} holds a training of other settings or data: "
                "use another folder, or remove this one"
            )


def _require_fit(config: TrainConfig, ranks: Ranks) -> None:
    """Refuses settings that this process, or several of them, cannot follow."""
    if config.tensorboard:
        summary_writer()
    if ranks.size == 1:
        return
    if config.hypergradient == "exact":
        raise ConfigError(
            f"train.hypergradient = 'exact' with {ranks.size} processes: it needs the whole batch "
            "in one; use auto, jvp or fd, or one process"
        )
    if config.device not in ("auto", "cpu", "cuda"):
        raise ConfigError(
            f"train.device = {config.device!r} with {ranks.size} processes: "
            "expected auto, cuda or cpu; each process takes the GPU of its number"
        )
