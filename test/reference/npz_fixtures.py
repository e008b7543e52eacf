"""Makes test/fixtures/data/npz.json: small .npz files as numpy writes them, and their values.

Run from the repository root: python3 test/reference/npz_fixtures.py
"""

import base64
import io
import json
from pathlib import Path

import numpy as np


def saved(compress=True, **arrays):
    file = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(file, **arrays)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    rng = np.random.default_rng(7)
    ct = rng.integers(-1000, 1000, size=(3, 4, 5)).astype(np.int16)
    files = {
        "int16": saved(ct=ct),
        "stored": saved(compress=False, ct=ct),
        "float32": saved(ct=ct.astype(np.float32)),
        "float64, another name": saved(volume=ct.astype(np.float64)),
        "big-endian int32, beside another array": saved(extra=np.zeros(3), ct=ct.astype(">i4")),
    }
    refused = {
        "fortran": saved(ct=np.asfortranarray(ct)),
        "two dimensions": saved(ct=ct[0]),
        "complex": saved(ct=ct.astype(np.complex64)),
        "text": saved(ct=np.array([["a"]])),
        "two arrays": saved(a=ct, b=ct),
        "empty": saved(ct=ct[:0]),
    }
    fixture = {"madeBy": f"test/reference/npz_fixtures.py, numpy {np.__version__}", "shape": ct.shape, "values": ct.ravel().tolist(), "files": files, "refused": refused}
    path = Path("test/fixtures/data/npz.json")
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes")
