"""Makes test/fixtures/train/delong.json: DeLong's test by its definition, all m·n placement values, and by full covariance matrices.

Independent of the midrank algorithm under test. Run from the repository root: python3 test/reference/delong.py
"""

import json
from pathlib import Path

import numpy as np
import scipy
from scipy.stats import norm

CASES = [  # name, scans, prevalence, number of distinct scores (0: continuous), labels
    ("continuous", 65, 0.3, 0, 1),
    ("tied, 5 levels", 63, 0.4, 5, 1),
    ("tied, 2 levels", 31, 0.5, 2, 1),
    ("few positives", 40, 0.06, 0, 1),
    ("three labels on the same scans", 65, 0.4, 7, 3),
]


def placements(scores, truth):
    """psi[i, j] of positive i and negative j: 1 above, 1/2 tied, 0 below."""
    x, y = scores[truth == 1], scores[truth == 0]
    psi = np.where(x[:, None] > y[None, :], 1.0, np.where(x[:, None] == y[None, :], 0.5, 0.0))
    return psi.mean(), psi.mean(axis=1), psi.mean(axis=0)


def compare(a, b, truth):
    """DeLong 1988: S = S10/m + S01/n over the two models, contrast (1, -1)."""
    (auc_a, v10_a, v01_a), (auc_b, v10_b, v01_b) = placements(a, truth), placements(b, truth)
    m, n = len(v10_a), len(v01_a)
    covariance = np.cov(np.stack([v10_a, v10_b])) / m + np.cov(np.stack([v01_a, v01_b])) / n
    contrast = np.array([1.0, -1.0])
    error = float(np.sqrt(contrast @ covariance @ contrast))
    z = (auc_a - auc_b) / error
    return {"a": auc_a, "b": auc_b, "standardError": error, "z": z, "p": float(2 * norm.sf(abs(z)))}


def influence(scores, truth):
    auc, v10, v01 = placements(scores, truth)
    shares = np.zeros(len(truth))
    shares[truth == 1] = (v10 - auc) / np.sqrt(len(v10) * (len(v10) - 1))
    shares[truth == 0] = (v01 - auc) / np.sqrt(len(v01) * (len(v01) - 1))
    return auc, shares


def compare_mean(a, b, truths):
    """The mean over labels: the labels' covariance matrix from the scans that they share, all entries equally weighted."""
    labels = truths.shape[1]
    rows = [[influence(model[:, k], truths[:, k]) for k in range(labels)] for model in (a, b)]
    shares = np.stack([first[1] - second[1] for first, second in zip(*rows)])
    covariance = shares @ shares.T
    error = float(np.sqrt(covariance.sum()) / labels)
    mean_a, mean_b = (float(np.mean([auc for auc, _ in each])) for each in rows)
    z = (mean_a - mean_b) / error
    return {"a": mean_a, "b": mean_b, "standardError": error, "z": z, "p": float(2 * norm.sf(abs(z)))}


def case(rng, name, scans, prevalence, levels, labels):
    truths = (rng.random((scans, labels)) < prevalence).astype(int)
    truths[:2], truths[2:4] = 1, 0
    base = rng.normal(size=(scans, labels)) + truths
    models = [1 / (1 + np.exp(-(base + 0.8 * rng.normal(size=base.shape)))) for _ in range(2)]
    if levels:
        models = [np.floor(levels * model) / levels for model in models]
    a, b = models
    return {
        "name": name,
        "labels": labels,
        "a": a.ravel().tolist(),
        "b": b.ravel().tolist(),
        "truths": truths.ravel().tolist(),
        "tests": [compare(a[:, k], b[:, k], truths[:, k]) for k in range(labels)],
        "mean": compare_mean(a, b, truths),
    }


if __name__ == "__main__":
    rng = np.random.default_rng(20261123)
    fixture = {
        "madeBy": f"test/reference/delong.py, numpy {np.__version__}, scipy {scipy.__version__}",
        "cases": [case(rng, *each) for each in CASES],
    }
    path = Path("test/fixtures/train/delong.json")
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes")
