"""Makes test/fixtures/ops/layer-norm.json: PyTorch's layer norm and its gradients in float64, at odd shapes.

Run from the repository root: python3 test/reference/layer-norm.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(21)


def digits(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().flatten().tolist()]


def exact(tensor):
    """Inputs that f32 holds exactly."""
    return (tensor * 1024).round() / 1024


def case(shape, affine=True, eps=1e-5, shift=0.0):
    columns = shape[-1]
    leaves = {"x": exact(torch.randn(shape) * 2 + shift).double().requires_grad_()}
    if affine:
        leaves["weight"] = exact(torch.randn(columns)).double().requires_grad_()
        leaves["bias"] = exact(torch.randn(columns)).double().requires_grad_()
    y = F.layer_norm(leaves["x"], (columns,), leaves.get("weight"), leaves.get("bias"), eps)
    dy = exact(torch.randn(y.shape)).double()
    y.backward(dy)
    return {
        "eps": eps,
        "inputs": {name: {"shape": list(leaf.shape), "values": digits(leaf)} for name, leaf in leaves.items()},
        "dY": digits(dy),
        "y": digits(y),
        "gradients": {name: digits(leaf.grad) for name, leaf in leaves.items()},
    }


fixtures = {
    "rows of 3": case([1, 3]),
    "rows of 63": case([1, 2, 63]),
    "rows of 65, off centre": case([3, 65], shift=3.0),
    "many short rows": case([65, 3]),
    "large eps": case([3, 7], eps=0.1),
    "without weight and bias": case([3, 33], affine=False),
}
Path("test/fixtures/ops/layer-norm.json").write_text(json.dumps(fixtures) + "\n")
