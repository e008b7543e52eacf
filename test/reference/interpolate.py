"""Writes test/fixtures/ops/interpolate.json: trilinear interpolation (align_corners=False) and its gradient by PyTorch (float64)."""
import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(13)

CASES = [([1, 1, 3, 3, 5], [5, 3, 7]), ([1, 2, 3, 5, 4], [2, 3, 1]), ([2, 1, 1, 2, 3], [3, 5, 4])]


def numbers(tensor):
    return [float(f"{value:.8g}") for value in tensor.flatten().tolist()]


def compute(shape, size):
    x = torch.randint(-32, 33, shape).double().div(32).requires_grad_()
    y = F.interpolate(x, size=size, mode="trilinear", align_corners=False)
    dy = torch.randint(-32, 33, y.shape).double().div(32)
    y.backward(dy)
    return dict(shape=shape, size=size, x=numbers(x), dY=numbers(dy), y=numbers(y), dX=numbers(x.grad))


target = Path(__file__).parent.parent / "fixtures" / "ops" / "interpolate.json"
target.write_text(json.dumps([compute(*case) for case in CASES]).replace("}, {", "},\n{") + "\n")
