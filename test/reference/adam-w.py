"""Makes test/fixtures/ops/adam-w.json: five steps of torch.optim.AdamW after clip_grad_norm_, two groups.

Run from the repository root: python3 test/reference/adam-w.py
"""

import json
from pathlib import Path

import torch

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
BETAS, EPS, CLIP, STEPS = (0.9, 0.98), 1e-8, 1.0, 5
GROUPS = [("matrix", (3, 4), 3e-2, 0.05, 2.0), ("bias", (5,), 1e-2, 0.0, 1.0)]  # name, shape, rate, decay, multiplier


def rounded(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().flatten().tolist()]


def fixed(shape, scale=1.0):
    return torch.tensor(rounded(torch.randn(shape).float().double() * scale)).reshape(shape)


def main():
    parameters = {name: torch.nn.Parameter(fixed(shape)) for name, shape, *_ in GROUPS}
    initial = {name: rounded(p) for name, p in parameters.items()}
    groups = [{"params": [parameters[name]], "lr": rate * multiplier, "weight_decay": decay} for name, _, rate, decay, multiplier in GROUPS]
    optimizer = torch.optim.AdamW(groups, betas=BETAS, eps=EPS)
    steps = []
    for step in range(STEPS):
        for p in parameters.values():
            p.grad = fixed(p.shape, 0.1 if step == 1 else 1.0)  # one step below the clip, four above
        gradients = {name: rounded(p.grad) for name, p in parameters.items()}
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), CLIP)
        optimizer.step()
        steps.append({"gradients": gradients, "norm": rounded(norm)[0], "parameters": {name: rounded(p) for name, p in parameters.items()}})
    moments = {}
    for name, p in parameters.items():
        moments[name + ".exp_avg"] = rounded(optimizer.state[p]["exp_avg"])
        moments[name + ".exp_avg_sq"] = rounded(optimizer.state[p]["exp_avg_sq"])
    out = {
        "torch": torch.__version__,
        "settings": {"betas": BETAS, "eps": EPS, "clip": CLIP},
        "groups": [{"name": n, "shape": s, "learningRate": r, "weightDecay": d, "multiplier": m} for n, s, r, d, m in GROUPS],
        "initial": initial,
        "steps": steps,
        "moments": moments,
    }
    Path("test/fixtures/ops/adam-w.json").write_text(json.dumps(out, indent=1) + "\n")


main()
