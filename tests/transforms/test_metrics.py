"""Metrics, against scikit-learn's and by hand."""

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from transforms.metrics import auc, calibration_error, log_loss, reliability


def test_auc_and_log_loss_are_the_usual_ones() -> None:
    random = np.random.default_rng(0)
    chance = np.round(random.random(500), 2)
    outcome = (random.random(500) < chance).astype(float)
    assert auc(outcome, chance) == pytest.approx(roc_auc_score(outcome, chance))
    assert log_loss(outcome, chance) == pytest.approx(sklearn_log_loss(outcome, np.clip(chance, 1e-6, 1 - 1e-6)))


def test_an_outcome_in_between_counts_as_so_much_of_both() -> None:
    outcome, chance = np.array([0.25, 1.0, 0.0]), np.array([0.3, 0.8, 0.4])
    weights = [0.25, 1.0, 0.75, 1.0]
    assert auc(outcome, chance) == pytest.approx(
        roc_auc_score([1, 1, 0, 0], [0.3, 0.8, 0.3, 0.4], sample_weight=weights)
    )


def test_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    outcome, chance = np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.12, 0.18, 0.95, 1.0])
    assert [one["answers"] for one in reliability(outcome, chance)] == [2, 2]
    assert calibration_error(outcome, chance) == pytest.approx(0.5 * (0.5 - 0.15) + 0.5 * (1 - 0.975))
