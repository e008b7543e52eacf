"""Makes test/fixtures/ops/{unary,reduce,permute,reshape,slice,concat,cast,widen,gemm,gradient-norm,vector-quantize,token-energy,
energy-softmax,map-distance,relative-distance,masked-alignment,weighted-mean}.json: PyTorch's values and gradients in float64.

Run from the repository root: python3 test/reference/ops.py
A case names the op, its tensors in order and what it takes after them. It has the gradients of those tensors that the op gives one to;
the others are constants to it (MODEL section 4: FAST's targets and masks).
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(23)
torch.set_default_dtype(torch.float64)


def digits(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().double().flatten().tolist()]


def exact(tensor):
    """Inputs that f32 and f16 hold exactly, short in JSON."""
    return (tensor * 16).round() / 16


def random(*shape, scale=1.0, shift=0.0):
    return exact(torch.randn(shape) * scale + shift)


def case(op, inputs, run, *arguments, gradients=None, dtypes={}):
    """`gradients`: the inputs that the op has a gradient of; default all. `dtypes`: of inputs that are not f32."""
    wanted = list(inputs) if gradients is None else gradients
    leaves = {name: value.detach().requires_grad_(name in wanted) for name, value in inputs.items()}
    y = run(*leaves.values())
    dy = random(*y.shape).to(y.dtype)
    if wanted:
        y.backward(dy)
    return {
        "op": op,
        "arguments": list(arguments),
        "inputs": {name: {"shape": list(x.shape), "values": digits(x), **({"dtype": dtypes[name]} if name in dtypes else {})} for name, x in leaves.items()},
        "shape": list(y.shape),
        "dY": digits(dy) if wanted else [],
        "y": digits(y),
        "gradients": {name: digits(leaves[name].grad) for name in wanted},
    }


def unary():
    signed, positive = {"x": torch.cat([random(3, 20, scale=2), torch.zeros(3, 1)], 1)}, {"x": random(63, 1).abs() + 0.25}
    return {
        "exp": case("exp", signed, torch.exp),
        "log": case("log", positive, torch.log),
        "sqrt": case("sqrt", positive, torch.sqrt),
        "square": case("square", signed, torch.square),
        "abs": case("abs", signed, torch.abs),
        "neg": case("neg", {"x": random(65)}, torch.neg),
        "sigmoid": case("sigmoid", signed, torch.sigmoid),
        "softplus": case("softplus", signed, F.softplus),
        "one value": case("exp", {"x": random(1)}, torch.exp),
    }


def reduce():
    x, wide = {"x": random(3, 5, 7)}, {"x": random(3, 65)}
    return {
        "sum of all": case("sum", wide, torch.sum),
        "sum of one value": case("sum", {"x": random(1)}, torch.sum),
        "sum, inner axis": case("sum", x, lambda x: x.sum(1), {"dim": 1}),
        "sum, last axis, keepdim": case("sum", wide, lambda x: x.sum(-1, keepdim=True), {"dim": -1, "keepdim": True}),
        "sum of a long axis": case("sum", {"x": random(1, 301)}, lambda x: x.sum(1), {"dim": 1}),
        "mean of all": case("mean", x, torch.mean),
        "mean, first axis": case("mean", {"x": random(63, 3)}, lambda x: x.mean(0), {"dim": 0}),
        "mean, outer axes": case("mean", x, lambda x: x.mean([0, 2]), {"dim": [0, 2]}),
        "mean, outer axes, keepdim": case("mean", x, lambda x: x.mean([0, 2], keepdim=True), {"dim": [0, -1], "keepdim": True}),
    }


def permute():
    x = {"x": random(2, 3, 5, 3)}
    return {
        "four axes": case("permute", x, lambda x: x.permute(2, 0, 3, 1), [2, 0, -1, 1]),
        "axes of extent 1 move": case("permute", {"x": random(1, 3, 1, 5)}, lambda x: x.permute(1, 2, 3, 0), [1, 2, 3, 0]),
        "matrix": case("transpose", {"x": random(63, 3)}, lambda x: x.transpose(0, 1), 0, 1),
        "inner axes": case("transpose", x, lambda x: x.transpose(1, -1), 1, -1),
        "inner and new axes": case("expand", {"x": random(3, 1, 5)}, lambda x: x.expand(2, 3, 3, 5), [2, 3, 3, 5]),
        "row": case("expand", {"x": random(1, 3)}, lambda x: x.expand(65, 3), [65, 3]),
    }


def reshape():
    return {
        "rank 3 to 2": case("reshape", {"x": random(3, 5, 7)}, lambda x: x.reshape(5, 21), [5, 21]),
        "open extent": case("reshape", {"x": random(65, 3)}, lambda x: x.reshape(1, -1, 5), [1, -1, 5]),
    }


def slices():
    return {
        "middle of rows": case("slice", {"x": random(3, 65)}, lambda x: x[:, 1:-1], {"dim": 1, "start": 1, "end": -1}),
        "one position of an inner axis": case("slice", {"x": random(3, 5, 7)}, lambda x: x[:, 3:4], {"dim": -2, "start": 3, "end": 4}),
        "end of the first axis": case("slice", {"x": random(63, 3)}, lambda x: x[-5:], {"dim": 0, "start": -5}),
        "all": case("slice", {"x": random(1, 3)}, lambda x: x[:, 0:], {"dim": 1}),
    }


def concat():
    def joined(dim):
        return lambda *tensors: torch.cat(tensors, dim)

    return {
        "first axis": case("concat", {"a": random(1, 3), "b": random(63, 3), "c": random(1, 3)}, joined(0), {"dim": 0}),
        "inner axis": case("concat", {"a": random(2, 1, 7), "b": random(2, 5, 7)}, joined(1), {"dim": 1}),
        "last axis": case("concat", {"a": random(3, 5), "b": random(3, 1), "c": random(3, 2)}, joined(-1), {"dim": -1}),
    }


def cast():
    # Between f16 values, so that there is something to round.
    uneven = {"x": torch.randn(3, 21).float()}
    to_half = case("cast", uneven, lambda x: x.half(), "f16")
    from_half = case("cast", {"x": random(65).half()}, lambda x: x.float(), "f32", dtypes={"x": "f16"})
    return {"f32 to f16": to_half, "f16 to f32": from_half, "f32 stays": case("cast", {"x": torch.randn(63).float()}, torch.clone, "f32")}


def widen():
    inputs = {"x": torch.randint(0, 256, (3, 65)), "table": random(256)}
    return {"a table": case("widen", inputs, lambda x, table: table[x], gradients=[], dtypes={"x": "u8"})}


def gemm():
    fused = {"transposeA": True, "transposeB": True, "activation": "leakyRelu", "slope": 0.25}
    inputs = {"a": random(5, 3), "b": random(7, 5), "bias": random(7)}
    return {
        "transposed, bias and leakyRelu": case("gemm", inputs, lambda a, b, bias: F.leaky_relu(a.T @ b.T + bias, 0.25), fused, gradients=[]),
        "a transposed, b shared": case("matmul", {"a": random(2, 5, 3), "b": random(5, 7)}, lambda a, b: a.mT @ b, {"transposeA": True}),
        "b transposed": case("matmul", {"a": random(1, 65), "b": random(3, 65)}, lambda a, b: a @ b.mT, {"transposeB": True}),
    }


def clipped(*gradients, limit):
    """The norm of gradients and what clip_grad_norm_ makes of them."""
    parameters = [torch.nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = gradient.clone()
    norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
    return norm.reshape(1), [parameter.grad for parameter in parameters]


def gradient_norm():
    def scale_of(norm, limit):
        return case("clipScale", {"norm": torch.tensor([norm])}, lambda x: clipped(x, limit=limit)[1][0] / x, limit, gradients=[])

    tensors = {"a": random(1), "b": random(3, 65), "c": random(63)}
    return {
        "three tensors": case("gradientNorm", tensors, lambda *x: clipped(*x, limit=1.0)[0], gradients=[]),
        # So short that the 1e-6 added to it is seen.
        "above the limit": scale_of(1 / 256, 1 / 512),
        "below the limit": scale_of(0.25, 0.5),
    }


def vector_quantize():
    """van den Oord et al. 2017: the value of the nearest code, the gradient straight through. The codes by cosine similarity."""

    def quantize(x, codebook):
        similarity = F.normalize(x, dim=-1) @ F.normalize(codebook, dim=-1).T
        if codebook.shape[0] > 1:
            first, second = similarity.topk(2, dim=-1).values.unbind(-1)
            assert (first - second).min() > 1e-4, "two codes are as near in f32: take another seed"
        return x + (codebook[similarity.argmax(-1)] - x).detach()

    def quantized(rows, columns, codes):
        return case("vectorQuantize", {"x": random(rows, columns), "codebook": random(codes, columns)}, quantize, gradients=["x"])

    return {"one code": quantized(3, 5, 1), "3 codes": quantized(63, 3, 3), "65 codes": quantized(9, 7, 65)}


def token_energy():
    x, one = {"x": random(2, 21, 3, shift=0.5)}, {"x": random(1, 3, 1)}

    def energy(x):
        return (x - x.mean(1, keepdim=True)).square().mean(2)

    return {
        "tokens": case("tokenEnergy", x, energy),
        "3 tokens of one channel": case("tokenEnergy", one, energy),
        "channels": case("channelEnergy", x, lambda x: x.square().mean(1)),
        "magnitude of tokens": case("tokenMagnitude", x, lambda x: x.abs().mean(2), gradients=[]),
        "magnitude of channels": case("channelMagnitude", x, lambda x: x.abs().mean(1), gradients=[]),
    }


def energy_softmax():
    def attention(tau):
        # Standardised along the row: a layer norm without weight and bias.
        return lambda e: F.softmax(F.layer_norm(e, e.shape[-1:], eps=1e-6) / tau, -1)

    return {
        "tau 1": case("energySoftmax", {"e": random(2, 65).abs()}, attention(1)),
        "tau 0.5": case("energySoftmax", {"e": random(3, 7).abs()}, attention(0.5), {"tau": 0.5}),
        "one token": case("energySoftmax", {"e": random(3, 1).abs()}, attention(1)),
        # Of a variance that the added 1e-6 is seen beside.
        "nearly equal energies": case("energySoftmax", {"e": random(1, 7).abs() / 256}, attention(1)),
    }


def map_distance():
    def distance(s, t):
        return F.mse_loss(F.normalize(s, dim=-1), F.normalize(t, dim=-1), reduction="none").sum(-1)

    def compared(rows, columns):
        return case("mapDistance", {"s": random(rows, columns).abs() + 0.25, "t": random(rows, columns).abs() + 0.25}, distance, gradients=["s"])

    return {"65 tokens": compared(2, 65), "3 tokens": compared(3, 3)}


def relative_distance():
    def distance(x, target):
        return F.mse_loss(x, target, reduction="none").sum([1, 2]) / target.square().sum([1, 2])

    def compared(*shape):
        return case("relativeDistance", {"x": random(*shape), "target": random(*shape)}, distance, gradients=["x"])

    return {"odd": compared(2, 5, 21), "one value": compared(3, 1, 1)}


def masked_alignment():
    def alignment(x, target, p, q):
        _, tokens, channels = x.shape
        weights = (tokens * p)[:, :, None] * (channels * q)[:, None, :]
        return (weights * F.mse_loss(x, target, reduction="none")).mean([1, 2])

    def aligned(*shape):
        batches, tokens, channels = shape
        p, q = (torch.softmax(torch.randn(batches, extent), -1).float().double() for extent in (tokens, channels))
        return case("maskedAlignment", {"x": random(*shape), "target": random(*shape), "p": p, "q": q}, alignment, gradients=["x"])

    return {"odd": aligned(2, 9, 7), "one channel": aligned(1, 63, 1), "one token": aligned(3, 1, 3)}


def weighted_mean():
    weights = [0.5, -2, 3]
    inputs = {"a": random(1), "b": random(3, 21), "c": random(65)}
    return {"three terms": case("weightedMean", inputs, lambda *x: sum(w * term.mean() for w, term in zip(weights, x)).reshape(1), weights)}


fixtures = {
    "unary": unary, "reduce": reduce, "permute": permute, "reshape": reshape, "slice": slices, "concat": concat, "cast": cast, "widen": widen,
    "gemm": gemm, "gradient-norm": gradient_norm, "vector-quantize": vector_quantize, "token-energy": token_energy,
    "energy-softmax": energy_softmax, "map-distance": map_distance, "relative-distance": relative_distance,
    "masked-alignment": masked_alignment, "weighted-mean": weighted_mean,
}
for stem, cases in fixtures.items():
    Path(f"test/fixtures/ops/{stem}.json").write_text(json.dumps(cases(), separators=(",", ":")).replace('},"', '},\n"') + "\n")
