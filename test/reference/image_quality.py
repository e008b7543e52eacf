"""PSNR and SSIM of two small volumes: the formulas of Wang et al. 2004 with scipy's uniform filter, as scikit-image's default."""
import json, os
import numpy as np
from scipy.ndimage import uniform_filter

SHAPE, RANGE = (2, 9, 13), 2000.0


def values(phase):
    i = np.arange(np.prod(SHAPE), dtype=np.float64)
    return np.round(800 * np.sin(i * 0.37 + phase) + 100 * np.cos(i * 1.7 * (1 + phase))).reshape(SHAPE)


def ssim(a, b):
    n, c1, c2, pad = 49, (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2, 3
    mean = lambda x: uniform_filter(x, size=7)
    ma, mb = mean(a), mean(b)
    va, vb, cov = (n / (n - 1) * (mean(x * y) - mean(x) * mean(y)) for x, y in ((a, a), (b, b), (a, b)))
    s = ((2 * ma * mb + c1) * (2 * cov + c2)) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return s[pad:-pad, pad:-pad].mean()


a, b = values(0.0), values(0.05)
out = {
    "shape": SHAPE, "a": a.ravel().tolist(), "b": b.ravel().tolist(),
    "psnr": 10 * np.log10(RANGE**2 / ((a - b) ** 2).mean()), "ssim": float(np.mean([ssim(x, y) for x, y in zip(a, b)])),
}
path = os.path.join(os.path.dirname(__file__), "..", "fixtures", "data", "image-quality.json")
with open(path, "w") as f:
    json.dump(out, f)
    f.write("\n")
