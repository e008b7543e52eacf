"""Makes test/fixtures/train/metrics.json: scikit-learn's answers on random and on tied scores.

Run from the repository root: python3 test/reference/metrics.py
"""

import json
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_score,
    roc_auc_score,
    roc_curve,
)

CASES = [  # name, scans, prevalence, number of distinct scores (0: continuous)
    ("continuous", 65, 0.3, 0),
    ("rare positives", 63, 0.05, 0),
    ("tied, 5 levels", 65, 0.5, 5),
    ("tied, 2 levels", 31, 0.4, 2),
    ("all scores equal", 9, 0.5, 1),
    ("three scans", 3, 0.5, 0),
]


def case(rng, name, scans, prevalence, levels):
    truth = (rng.random(scans) < prevalence).astype(int)
    truth[0], truth[1] = 1, 0  # both classes
    scores = rng.normal(size=scans) + 0.8 * truth
    if levels:
        scores = np.floor(levels / (1 + np.exp(-scores))) / levels if levels > 1 else np.full(scans, 0.5)
    fpr, tpr, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    # Older versions start at max + 1 in place of infinity; the caller compares from the second point on.
    best = int(np.argmin(fpr**2 + (1 - tpr) ** 2))
    threshold = float(thresholds[best]) if best else None
    predictions = (scores >= thresholds[best]).astype(int) if best else np.zeros(scans, int)
    return {
        "name": name,
        "scores": scores.tolist(),
        "truth": truth.tolist(),
        "auroc": roc_auc_score(truth, scores),
        "averagePrecision": average_precision_score(truth, scores),
        "falsePositiveRate": fpr.tolist(),
        "truePositiveRate": tpr.tolist(),
        "thresholds": thresholds[1:].tolist(),
        "threshold": threshold,
        "weightedF1": f1_score(truth, predictions, average="weighted", zero_division=0),
        "accuracy": accuracy_score(truth, predictions),
        "precision": precision_score(truth, predictions, zero_division=0),
    }


def extremes():
    """Predictions of one class only: where the ratios have nothing below them."""
    truth = [1, 0, 0, 1, 0]
    rows = []
    for name, predictions in [("none", [0] * 5), ("all", [1] * 5), ("wrong", [0, 1, 1, 0, 1]), ("right", truth)]:
        rows.append(
            {
                "name": name,
                "truth": truth,
                "predictions": predictions,
                "weightedF1": f1_score(truth, predictions, average="weighted", zero_division=0),
                "accuracy": accuracy_score(truth, predictions),
                "precision": precision_score(truth, predictions, zero_division=0),
            }
        )
    return rows


def calibration_error(truth, scores):
    """Guo et al. 2017 over the bins of calibration_curve, which does not give their counts."""
    observed, mean_score = calibration_curve(truth, scores, n_bins=10, strategy="uniform")
    bins = np.searchsorted(np.linspace(0, 1, 11)[1:-1], scores)
    counts = np.bincount(bins, minlength=10)
    return float(np.sum(counts[counts > 0] * np.abs(observed - mean_score)) / len(scores)), mean_score, observed


def probability_case(rng, name, scans, levels):
    """levels: number of distinct scores, edges of the bins and both ends among them; 0: continuous."""
    scores = rng.integers(0, levels + 1, size=scans) / levels if levels else rng.random(scans)
    truth = (rng.random(scans) < scores**2).astype(int)
    truth[0], truth[1] = 1, 0
    ece, mean_score, observed = calibration_error(truth, scores)
    return {
        "name": name,
        "scores": scores.tolist(),
        "truth": truth.tolist(),
        "averagePrecision": average_precision_score(truth, scores),
        "brier": brier_score_loss(truth, scores),
        "ece": ece,
        "meanScore": mean_score.tolist(),
        "observed": observed.tolist(),
    }


def weighted_case(rng):
    """Whole-number weights: what a bootstrap resample is."""
    truth = (rng.random(40) < 0.4).astype(int)
    scores = np.round(rng.random(40) * 0.6 + 0.3 * truth, 2)
    weights = rng.integers(0, 4, size=40)
    t, s = np.repeat(truth, weights), np.repeat(scores, weights)
    predictions = (s >= 0.5).astype(int)
    return {
        "truth": truth.tolist(),
        "scores": scores.tolist(),
        "weights": weights.tolist(),
        "auroc": roc_auc_score(t, s),
        "averagePrecision": average_precision_score(t, s),
        "weightedF1": f1_score(t, predictions, average="weighted", zero_division=0),
        "accuracy": accuracy_score(t, predictions),
        "precision": precision_score(t, predictions, zero_division=0),
        "brier": brier_score_loss(t, s),
        "ece": calibration_error(t, s)[0],
    }


def quantiles(rng):
    values = np.sort(rng.random(37))
    levels = [0, 0.025, 0.3, 0.5, 0.975, 1]
    return {"values": values.tolist(), "levels": levels, "quantiles": np.quantile(values, levels).tolist()}


if __name__ == "__main__":
    warnings.simplefilter("error")
    rng = np.random.default_rng(20260501)
    fixture = {
        "madeBy": f"test/reference/metrics.py, scikit-learn {sklearn.__version__}, numpy {np.__version__}",
        "cases": [case(rng, *each) for each in CASES],
        "extremes": extremes(),
        "probabilities": [probability_case(rng, *each) for each in [("continuous", 65, 0), ("tied, on the edges of the bins", 63, 10), ("tied, 4 levels", 31, 4)]],
        "weighted": weighted_case(rng),
        "quantile": quantiles(rng),
    }
    path = Path("test/fixtures/train/metrics.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fixture, indent=None, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes")
