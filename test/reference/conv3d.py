"""Writes test/fixtures/ops/conv3d.json: convolutions and their gradients by PyTorch (float64, asymmetric padding through F.pad)."""
import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(11)

CASES = [
    ("stride 2, padding 1", [2, 1, 3, 5, 3], [5, 1, 3, 3, 3], dict(stride=2, padding=[1, 1, 1], dilation=1, groups=1)),
    ("dilation 2", [1, 1, 5, 3, 3], [4, 1, 2, 2, 2], dict(stride=1, padding=[0, 0, 0], dilation=2, groups=1)),
    ("groups 3", [1, 6, 2, 3, 1], [12, 2, 2, 2, 1], dict(stride=1, padding=[1, 0, 1], dilation=1, groups=3)),
    ("depthwise, causal", [1, 3, 3, 1, 3], [3, 1, 3, 3, 3], dict(stride=1, padding=[[2, 0], [1, 1], [1, 1]], dilation=1, groups=3)),
    ("patchify", [1, 1, 2, 8, 4], [9, 1, 2, 4, 4], dict(stride=[2, 4, 4], padding=[0, 0, 0], dilation=1, groups=1)),
]


def numbers(tensor):
    return [float(f"{value:.8g}") for value in tensor.flatten().tolist()]


def compute(name, x_shape, weight_shape, options):
    x, weight, bias = (torch.randint(-32, 33, shape).double().div(32).requires_grad_() for shape in (x_shape, weight_shape, weight_shape[:1]))
    pairs = [pad if isinstance(pad, list) else [pad, pad] for pad in options["padding"]]
    padded = F.pad(x, [side for pair in reversed(pairs) for side in pair])
    y = F.conv3d(padded, weight, bias, stride=options["stride"], dilation=options["dilation"], groups=options["groups"])
    dy = torch.randint(-32, 33, y.shape).double().div(32)
    y.backward(dy)
    return dict(
        name=name, xShape=x_shape, weightShape=weight_shape, options=options,
        x=numbers(x), weight=numbers(weight), bias=numbers(bias), dY=numbers(dy),
        y=numbers(y), dX=numbers(x.grad), dWeight=numbers(weight.grad), dBias=numbers(bias.grad),
    )


target = Path(__file__).parent.parent / "fixtures" / "ops" / "conv3d.json"
target.write_text(json.dumps([compute(*case) for case in CASES]).replace("}, {", "},\n{") + "\n")
