"""Training a reward model: the loop over its phases, validation, checkpoints.

Which phases a model has is in `prm.training.schedule`.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import torch

from funprm.config import TrainConfig
from funprm.errors import ConfigError, TrainingError
from funprm.language_models import fitting_threads
from funprm.prm.correction.base import Correction
from funprm.prm.folder import load, store, warmup_of
from funprm.prm.models.opening import save
from funprm.prm.records import CurvePoint, Validation, write_corrected, write_curves
from funprm.prm.rendering import Encoded
from funprm.prm.scoring import step_scores
from funprm.prm.training.data import TrainingData
from funprm.prm.training.job import Job, Report, TrainResult
from funprm.prm.training.metrics_log import TensorBoardWriter, Throughput, peak_memory
from funprm.prm.training.optimizer_step import Learner
from funprm.prm.training.preparation import Prepared, prepare
from funprm.prm.training.schedule import Phase, schedule
from funprm.prm.training.state import Best, TrainingState
from funprm.prm.training.validation import metrics, not_worse

__all__ = ["TrainResult", "train"]

CHECKPOINT_SECONDS = 120.0
"""At most so much work is lost when training is interrupted."""

SCORING_TOKENS = 8192
"""Tokens of a batch on validation."""

UNCORRECTED = Correction()


def train(
    config: TrainConfig,
    data: TrainingData,
    folder: Path,
    *,
    report: Report | None = None,
    init: Path | None = None,
) -> TrainResult:
    """Trains one reward model; continues exactly where an earlier call was interrupted.

    Writes `model/` (the best checkpoint on validation), `curves.jsonl`, `corrected.jsonl` (where
    rewards are corrected), `result.json`, and `state/`, from which a call with the same arguments
    resumes: on a CPU bitwise. A finished run is returned as it is. In a process group (see
    `distributed.joined`) all ranks call this with the same arguments and a folder that all of them
    see; the first one writes.

    Args:
        config: settings.
        data: labelled programs, split by problem.
        folder: where to write.
        report: called after every optimiser step (`advance` 1, `phase`, `step`, `steps`, `loss`)
            and with every point of the curves (`advance` 0).
        init: another run's folder, whose warm-up is shared, or a saved model to start from.

    Raises:
        TrainingError: shared problems, nothing to learn from, loss not finite, out of memory.
        StoreError: the folder holds a run of other settings or data, or cannot be written.
        ConfigError: the warm-up of `init` is not the one these settings ask for; a package is
            missing; or the settings do not suit several processes.
        ModelError: the base model or `init` cannot be opened.
    """
    try:
        job = Job.of(config, data, Path(folder), report or (lambda _: None), init)
        if (finished := job.finished()) is not None:
            return finished
        job.require_fit()
        if job.ranks.first:
            (job.folder / "state").mkdir(parents=True, exist_ok=True)
        return _Loop(job, prepare(config, data, init)).run()
    except (RuntimeError, MemoryError) as error:
        text = str(error)
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in text:
            raise TrainingError(
                f"out of memory with {config.batch} programs per batch of up to "
                f"{config.max_tokens} tokens: lower train.batch (and raise train.accumulate), "
                "or set train.checkpointing = true"
            ) from error
        raise


class _Loop:
    """Takes the steps of a job; all that it remembers of them is a `TrainingState`."""

    def __init__(self, job: Job, ready: Prepared) -> None:
        self._job, self._ready = job, ready
        self._config, self._ranks, self._plan = job.config, job.ranks, ready.plan
        self._correction = ready.correction
        self._learner = Learner(ready.opened, job.config, job.ranks)
        self._interval = max(1, round(job.config.evaluate_every * ready.plan.epoch))
        self._saved_at = time.monotonic()
        self._throughput = Throughput(0)

    def run(self) -> TrainResult:
        """Trains to the end."""
        if self._ready.corrected and self._ranks.first:
            write_corrected(self._job.folder, self._ready.corrected)
        state = self._resumed()
        self._ranks.barrier()  # all have read before one writes
        self._throughput = Throughput(state.tokens)
        wanted = self._config.tensorboard and self._ranks.first
        log = TensorBoardWriter(self._job.folder / "tensorboard" if wanted else None)
        with fitting_threads(self._learner.model), log:
            while state.phase < len(self._plan.phases):
                state = self._through(state, self._plan.phases[state.phase], log)
        return self._finish(state)

    def _through(self, state: TrainingState, phase: Phase, log: TensorBoardWriter) -> TrainingState:
        """To the end of the phase that the state is in."""
        if state.step == 0 and phase.name == "main" and self._correction.outer_loss:
            self._ranks.barrier()
            self._learner.restore(load(warmup_of(self._job.folder)))
        while state.step < phase.steps:
            state = self._stepped(state, phase)
            last = state.step == phase.steps
            if last or (phase.first + state.step) % self._interval == 0:
                state = self._recorded(state, phase)
                log.add(state.curves[-1])  # a resumed run does not write it again
            elif time.monotonic() - self._saved_at >= CHECKPOINT_SECONDS:
                self._save(state)
        if phase.name == "warmup" and self._ranks.first:
            warmup = {"key": self._job.warmup_key, **self._learner.state()}
            store(warmup, warmup_of(self._job.folder))
        if phase.name == "correct" and self._ranks.first:
            write_corrected(self._job.folder, self._correction.records())
        state = state.entered(state.phase + 1)
        self._save(state)
        return state

    def _stepped(self, state: TrainingState, phase: Phase) -> TrainingState:
        examples = phase.batch(state.step)
        factor = schedule(phase.first + state.step, self._plan.steps)
        measured = phase.name == "warmup" and self._correction.outer_loss
        correction = UNCORRECTED if measured else self._correction
        outer_loss = None
        try:
            if phase.outer is None:
                fit = self._learner.fit(examples, correction, factor, phase.pairwise)
                loss, tokens = fit.loss, fit.tokens
            else:
                outer = phase.outer.batch(state.step)
                loss, outer_loss, tokens = self._learner.correct(
                    examples, outer, correction, factor
                )
        except TrainingError as error:
            names = ", ".join(e.generation for e in examples[:4])
            raise TrainingError(
                f"{error} at step {state.step} of phase {phase.name} (generations {names}, ...): "
                "the last checkpoint is kept; lower train.lr, or set train.clip"
            ) from None
        state = state.stepped(loss, outer_loss, tokens)
        self._job.report(
            {
                "advance": 1,
                "phase": phase.name,
                "step": state.step,
                "steps": phase.steps,
                "loss": loss,
                "outer_loss": outer_loss,
            }
        )
        return state

    def _recorded(self, state: TrainingState, phase: Phase) -> TrainingState:
        step = phase.first + state.step
        point = CurvePoint(
            phase=phase.name,
            step=step,
            epoch=step / self._plan.epoch,
            loss=sum(state.losses) / len(state.losses),
            tokens_per_second=self._throughput.rate(state.tokens),
            peak_memory=peak_memory(self._learner.device),
        )
        if state.outer_losses:
            outer = sum(state.outer_losses) / len(state.outer_losses)
            point = replace(
                point, outer_loss=outer, correction=dict(self._correction.diagnostics())
            )
        best = state.best
        if phase.validated:
            validation, terms = self._validated()
            point, best = (
                replace(point, validation=validation),
                self._kept(best, Best(step=step, terms=terms, validation=validation)),
            )
        state = state.recorded(point, best)
        self._job.report({"advance": 0, **msgspec.to_builtins(point)})
        self._save(state)
        self._throughput.mark(state.tokens)
        return state

    def _validated(self) -> tuple[Validation | None, tuple[float, ...]]:
        """What the present weights are worth, and the criterion's terms by problem."""
        if not self._ready.validation:
            return None, (0.0,)
        self._learner.model.eval()
        scores = self._scores([encoded for _, encoded in self._ready.validation])
        self._learner.model.train()
        programs = [program for program, _ in self._ready.validation]
        return metrics(programs, scores, self._job.reading.aggregator)

    def _kept(self, best: Best | None, new: Best) -> Best:
        """The better of two; its weights are in `model/`.

        Later weights are better unless validation says so beyond its noise.
        """
        if best is not None and not not_worse(new.terms, best.terms):
            return best
        if self._ranks.first:
            save(self._ready.opened, self._job.folder / "model", self._job.facts(new.step))
        return new if best is None else replace(new, terms=max(new.terms, best.terms, key=sum))

    def _scores(self, programs: Sequence[Encoded]) -> list[tuple[float, ...]]:
        """Step scores of programs; every rank computes its share and knows all."""
        distinct = list(dict.fromkeys(programs))
        own, pad = self._ranks.share(distinct), self._ready.opened.renderer.pad_id
        scores = self._ranks.join(step_scores(self._learner.model, own, pad, SCORING_TOKENS))
        found = dict(zip(distinct, scores, strict=True))
        return [found[program] for program in programs]

    # Storing: the first rank's

    def _save(self, state: TrainingState) -> None:
        if not self._ranks.first:
            return
        write_curves(self._job.folder, state.curves)
        checkpoint = {
            "key": self._job.key,
            "learner": self._learner.state(),
            "correction": dict(self._correction.state()),
            "state": replace(state, seconds=self._seconds(state)).encode().decode(),
        }
        store(checkpoint, self._job.checkpoint)
        self._saved_at = time.monotonic()

    def _seconds(self, state: TrainingState) -> float:
        return state.seconds + time.monotonic() - self._job.started

    def _resumed(self) -> TrainingState:
        """Where an earlier call was interrupted, or the begin."""
        if not self._job.checkpoint.exists():
            return self._begun()
        stored = load(self._job.checkpoint)
        self._job.refuse_other(stored["key"])
        self._learner.restore(stored["learner"])
        self._correction.restore(stored["correction"])
        return TrainingState.decode(stored["state"])

    def _begun(self) -> TrainingState:
        """After the warm-up of another run, if one is given and is the one wanted here."""
        init = self._job.init
        if init is None or not warmup_of(init).exists():
            return TrainingState()
        if self._plan.phases[0].name != "warmup":
            raise ConfigError(f"labels = 'outcome' has no warm-up: none can be taken from {init}")
        warmup = load(warmup_of(init))
        if warmup["key"] != self._job.warmup_key:
            raise ConfigError(
                f"the warm-up in {init} had other settings or data: expected equal ones but for "
                "clean_outcomes and a correction that follows the outer loss; train without init"
            )
        self._learner.restore(warmup)
        if self._ranks.first:
            store(warmup, warmup_of(self._job.folder))
        return TrainingState(phase=1)

    def _finish(self, state: TrainingState) -> TrainResult:
        assert state.best is not None  # the last step of the main phase is validated
        result = TrainResult(
            folder=self._job.folder,
            best_step=state.best.step,
            validation=state.best.validation,
            steps=self._plan.steps,
            rows=len(self._ready.evidence),
            correction=dict(self._correction.diagnostics()),
            seconds=self._seconds(state),
            tokens=state.tokens,
            not_fitting=self._ready.not_fitting,
            shortened=self._ready.shortened,
        )
        if self._ranks.first:
            self._job.write(result)
        self._ranks.barrier()  # what another model starts from is written
        return result
