"""Writes test/fixtures/ops/avg-pool3d.json: mean pooling and its gradient by PyTorch (float64)."""
import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(12)

CASES = [([1, 2, 3, 5, 4], 2, None), ([1, 1, 3, 5, 7], [2, 3, 1], [1, 2, 3])]


def numbers(tensor):
    return [float(f"{value:.8g}") for value in tensor.flatten().tolist()]


def compute(shape, kernel, stride):
    x = torch.randint(-32, 33, shape).double().div(32).requires_grad_()
    y = F.avg_pool3d(x, kernel, stride)
    dy = torch.randint(-32, 33, y.shape).double().div(32)
    y.backward(dy)
    options = dict(kernel=kernel) if stride is None else dict(kernel=kernel, stride=stride)
    return dict(shape=shape, options=options, x=numbers(x), dY=numbers(dy), y=numbers(y), dX=numbers(x.grad))


target = Path(__file__).parent.parent / "fixtures" / "ops" / "avg-pool3d.json"
target.write_text(json.dumps([compute(*case) for case in CASES]).replace("}, {", "},\n{") + "\n")
