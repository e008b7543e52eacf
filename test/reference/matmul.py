"""Makes test/fixtures/ops/matmul.json: products and their gradients by PyTorch, for matmul, linear and blockTensorTrain."""
import json
from pathlib import Path

import torch

torch.manual_seed(5)
torch.set_default_dtype(torch.float64)


def numbers(tensor):
    return [float(f"{value:.8g}") for value in tensor.flatten().tolist()]


def leaf(*shape):
    return torch.empty(shape).uniform_(-1, 1).float().double().requires_grad_()


def case(inputs, y):
    dY = torch.empty_like(y).uniform_(-1, 1).float().double()
    y.backward(dY)
    return {
        "inputs": {name: {"shape": list(x.shape), "values": numbers(x.detach())} for name, x in inputs.items()},
        "y": {"shape": list(y.shape), "values": numbers(y.detach())},
        "dY": numbers(dY),
        "gradients": {name: numbers(x.grad) for name, x in inputs.items()},
    }


def matmul():
    a, b = leaf(2, 3, 5), leaf(2, 5, 4)
    return case({"a": a, "b": b}, a @ b)


def linear():
    x, weight, bias = leaf(2, 3, 5), leaf(7, 5), leaf(7)
    return case({"x": x, "weight": weight, "bias": bias}, torch.nn.functional.linear(x, weight, bias))


def linear_gelu():
    x, weight, bias = leaf(4, 6), leaf(3, 6), leaf(3)
    return case({"x": x, "weight": weight, "bias": bias}, torch.nn.functional.gelu(torch.nn.functional.linear(x, weight, bias)))


def block_tensor_train(rows=3, m1=3, m0=4, n0=2, n1=5, r=2):
    """Equations of Qiu et al. 2024: H[j,p,s] = sum_a x[j,a] W0[j,a,(p,s)], y[p,q] = sum_js H[j,p,s] W1[p,(j,s),q]."""
    x, w0, w1 = leaf(rows, m1 * m0), leaf(m1, m0, n0 * r), leaf(n0, m1 * r, n1)
    h = torch.einsum("bja,japs->bjps", x.view(rows, m1, m0), w0.view(m1, m0, n0, r))
    y = torch.einsum("bjps,pjsq->bpq", h, w1.view(n0, m1, r, n1)).reshape(rows, n0 * n1)
    return case({"x": x, "w0": w0, "w1": w1}, y)


fixtures = {"matmul": matmul(), "linear": linear(), "linearGelu": linear_gelu(), "blockTensorTrain": block_tensor_train()}
path = Path(__file__).parent.parent / "fixtures" / "ops" / "matmul.json"
path.write_text(json.dumps(fixtures, separators=(",", ":")) + "\n")
