"""Makes test/fixtures/model/svd.json: singular values, and dense heads truncated block by block, by numpy's SVD in float64.

Run from the repository root: python3 test/reference/svd.py
"""

import json
from pathlib import Path

import numpy as np

random = np.random.default_rng(3)


def f32(values):
    return np.asarray(values, np.float32).astype(np.float64)


def matrix(rows, columns, rank=None, decay=None):
    full = min(rows, columns)
    u, _ = np.linalg.qr(random.standard_normal((rows, full)))
    v, _ = np.linalg.qr(random.standard_normal((columns, full)))
    s = np.ones(full) if decay is None else decay ** np.arange(full)
    if rank is not None:
        s[rank:] = 0
    return (u * s) @ v.T if rank is not None or decay is not None else f32(random.standard_normal((rows, columns)))


def case(name, a):
    return {"name": name, "rows": a.shape[0], "columns": a.shape[1], "values": a.ravel().tolist(), "singularValues": np.linalg.svd(a, compute_uv=False).tolist()}


def head(m1, m0, n0, n1):
    """W [n0*n1, m1*m0]; for each rank the error of the block-wise truncation, and what it makes of x."""
    weight = f32(random.standard_normal((n0 * n1, m1 * m0)) / np.sqrt(m1 * m0))
    x = f32(random.standard_normal((2, m1 * m0)))
    ranks = []
    for rank in range(1, min(m0, n1) + 1):
        near = np.zeros_like(weight)
        for j in range(m1):
            for p in range(n0):
                rows, columns = slice(p * n1, (p + 1) * n1), slice(j * m0, (j + 1) * m0)
                u, s, vt = np.linalg.svd(weight[rows, columns], full_matrices=False)
                near[rows, columns] = (u[:, :rank] * s[:rank]) @ vt[:rank]
        ranks.append({"rank": rank, "relativeError": float(np.linalg.norm(weight - near) / np.linalg.norm(weight)), "y": (x @ near.T).ravel().tolist()})
    return {"inFactors": [m1, m0], "outFactors": [n0, n1], "weight": weight.ravel().tolist(), "x": x.ravel().tolist(), "ranks": ranks}


Path("test/fixtures/model/svd.json").write_text(json.dumps({
    "numpy": np.__version__,
    "matrices": [
        case("a number", matrix(1, 1)), case("a row", matrix(1, 5)), case("wide", matrix(3, 7)), case("tall", matrix(9, 4)), case("square", matrix(16, 16)),
        case("rank 2 of 6", matrix(6, 6, rank=2)), case("rank 2 of 3, wide", matrix(3, 8, rank=2)), case("graded over ten decades", matrix(8, 8, decay=0.05)), case("zero", np.zeros((4, 3))),
        case("equal columns", np.ones((5, 3))),
    ],
    "heads": [head(3, 4, 2, 5), head(5, 3, 3, 2), head(1, 7, 1, 7)],
}, separators=(",", ":")) + "\n")
