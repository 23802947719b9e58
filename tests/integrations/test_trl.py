"""TRL's own trainer learns from our rewards; skipped where TRL is not installed."""

from pathlib import Path

import pytest

from funprm.datasets.mini import MiniDataset
from funprm.integrations import trl as ours
from funprm.integrations.rewards import OutcomeReward
from funprm.prm.identity import resolve_base
from tests.models import save_prm

trl = pytest.importorskip("trl", reason="pip install trl")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_grpo_takes_steps_by_outcome_and_by_functions(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    problems = MiniDataset(train=4, meta=0, validation=0, test=0).load()
    outcome = OutcomeReward(workers=2)
    rewards = [ours.TrlReward(outcome), ours.step_reward(str(save_prm(tmp_path / "prm")))]
    config = trl.GRPOConfig(
        output_dir=str(tmp_path / "out"),
        per_device_train_batch_size=8,
        num_generations=4,
        max_completion_length=96,
        max_steps=2,
        logging_steps=1,
        learning_rate=1e-4,
        use_cpu=True,
        bf16=False,
        report_to=[],
        save_strategy="no",
        reward_weights=[1.0, 0.5],
    )
    trainer = trl.GRPOTrainer(
        model=resolve_base("tiny"),
        reward_funcs=rewards,
        args=config,
        train_dataset=datasets.Dataset.from_list(list(ours.rows(problems, prompt="statement"))),
    )
    trainer.train()
    outcome.close()
    log = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(log) == 2
    for entry in log:
        passed = entry["rewards/funprm_outcome/mean"]
        assert 0 <= passed <= 1
        steps = entry["rewards/funprm_steps/mean"]
        assert entry["reward"] == pytest.approx(passed + 0.5 * steps, abs=1e-3)
