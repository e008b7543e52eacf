"""PyTorch eager on the GPU, driven line by line by torch.ts: fp32 with TF32 off, or bf16.

Each line in is a JSON request, each line out its reply. Operands and results are raw little-endian f32 files.
"""
import json
import sys
import time

import numpy
import torch
from torch.nn import functional as F

dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[sys.argv[1]]
device = sys.argv[2] if len(sys.argv) > 2 else "cuda"
if device == "cuda":
    if not torch.cuda.is_available():
        sys.exit("torch has no CUDA")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False

ops = {
    "matmul": lambda t: t["a"] @ t["b"],
    "conv3d": lambda t: F.conv3d(t["x"], t["weight"], t["bias"], padding=1),
    "attention": lambda t: F.scaled_dot_product_attention(t["q"], t["k"], t["v"])
    if hasattr(F, "scaled_dot_product_attention")
    else torch.softmax(t["q"] @ t["k"].transpose(-1, -2) * t["q"].shape[-1] ** -0.5, -1) @ t["v"],
    "layerNorm": lambda t: F.layer_norm(t["x"], t["weight"].shape, t["weight"], t["bias"]),
}
state = {}


def compute():
    problem, tensors = state["problem"], state["tensors"]
    if not problem["backward"]:
        with torch.no_grad():
            return {"y": ops[problem["problemKind"]](tensors)}
    leaves = {name: tensor for name, tensor in tensors.items() if name != "dY"}
    return dict(zip(leaves, torch.autograd.grad(ops[problem["problemKind"]](tensors), list(leaves.values()), tensors["dY"])))


def wait():
    if device == "cuda":
        torch.cuda.synchronize()


def answer(request):
    if request["kind"] == "prepare":
        tensors = {}
        for name, operand in request["operands"].items():
            values = torch.from_numpy(numpy.fromfile(operand["file"], "<f4").reshape(operand["shape"]))
            tensors[name] = values.to(device, dtype).requires_grad_(request["backward"] and name != "dY")
        state.update(problem=request, tensors=tensors)
        return {}
    if request["kind"] == "outputs":
        results = compute()
        for name, tensor in results.items():
            tensor.detach().float().cpu().numpy().astype("<f4").tofile(f"{request['folder']}/{name}.out")
        return {"names": list(results)}
    start = time.perf_counter()
    compute()
    wait()
    return {"milliseconds": 1000 * (time.perf_counter() - start)}


print(json.dumps({"version": f"torch {torch.__version__} {sys.argv[1]} on {torch.cuda.get_device_name() if device == 'cuda' else device}"}), flush=True)
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
