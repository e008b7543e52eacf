"""Makes test/fixtures/ops/{binary,gelu,geglu,leaky-relu,normalize}.json: PyTorch's values and gradients in float64.

Run from the repository root: python3 test/reference/elementwise.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(20)


def digits(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().flatten().tolist()]


def exact(tensor):
    """Inputs that f32 holds exactly."""
    return (tensor * 1024).round() / 1024


def case(run, **inputs):
    leaves = {name: exact(value).double().requires_grad_() for name, value in inputs.items()}
    y = run(**leaves)
    dy = exact(torch.randn(y.shape)).double()
    y.backward(dy)
    return {
        "inputs": {name: {"shape": list(leaf.shape), "values": digits(leaf)} for name, leaf in leaves.items()},
        "dY": digits(dy),
        "y": digits(y),
        "gradients": {name: digits(leaf.grad) for name, leaf in leaves.items()},
    }


def geglu(x):
    value, gate = x.chunk(2, dim=-1)
    return value * F.gelu(gate)


broadcast = {"a": torch.randn(2, 1, 3, 5), "b": torch.randn(4, 1, 5) + 4}
fixtures = {
    "binary": {
        "add": case(lambda a, b: a + b, **broadcast),
        "sub": case(lambda a, b: a - b, **broadcast),
        "mul": case(lambda a, b: a * b, **broadcast),
        "div": case(lambda a, b: a / b, **broadcast),
    },
    "gelu": {"gelu": case(F.gelu, x=torch.randn(3, 21) * 3)},
    "geglu": {"geglu": case(geglu, x=torch.randn(3, 2, 14) * 2)},
    "leaky-relu": {"slope 0.1": case(lambda x: F.leaky_relu(x, 0.1), x=torch.cat([torch.randn(4, 9), torch.zeros(1, 9)]))},
    "normalize": {
        "last axis": case(lambda x: F.normalize(x, dim=-1), x=torch.randn(5, 13)),
        "inner axis": case(lambda x: F.normalize(x, dim=1), x=torch.randn(2, 3, 7)),
    },
}
folder = Path("test/fixtures/ops")
folder.mkdir(parents=True, exist_ok=True)
for stem, cases in fixtures.items():
    (folder / f"{stem}.json").write_text(json.dumps(cases) + "\n")
