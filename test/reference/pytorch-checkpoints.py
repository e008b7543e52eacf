"""Small checkpoints as PyTorch writes them, and what is in them, for the reader in src/data/weights.

/usr/bin/python3 test/reference/pytorch-checkpoints.py     makes test/fixtures/data/weights/*.pt and expected.json
"""

import json
import os
import zipfile
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import torch

OUT = Path("test/fixtures/data/weights")
torch.manual_seed(5)


def values(tensor):
    return tensor.detach().double().reshape(-1).tolist()


def described(tensors):
    return {name: {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch."), "values": values(tensor)} for name, tensor in tensors.items()}


class Evil:
    def __reduce__(self):
        return (os.system, ("echo this must never run > evil-was-here",))


base = torch.randn(6, 8)
volume = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)
tensors = OrderedDict(
    plain=torch.randn(3, 5),
    transposed=base.t(),
    sliced=base[1:5:2, 2:7],
    column=base[:, 3],
    permuted=volume.permute(3, 1, 0, 2)[1:, :, :, ::3],
    offset=base.reshape(-1)[11:20],
    expanded=torch.randn(1, 4).expand(3, 4),
    parameter=torch.nn.Parameter(torch.randn(4)),
    half=torch.tensor([0.0, -0.0, 1.0, -2.5, 65504.0, 6e-8, 6.1e-5, float("inf")], dtype=torch.half),
    bfloat16=torch.randn(7).bfloat16(),
    double=torch.tensor([0.1, 2.5], dtype=torch.double),
    int64=torch.tensor([[-(2**40), 7]]),
    int32=torch.tensor([-3, 9], dtype=torch.int32),
    int16=torch.tensor([-3, 9], dtype=torch.int16),
    int8=torch.tensor([-3, 9], dtype=torch.int8),
    uint8=torch.tensor([200, 9], dtype=torch.uint8),
    bool=torch.tensor([True, False, True]),
    scalar=torch.tensor(1.5),
    empty=torch.zeros(4, 0, 8),
    größe=torch.ones(2),
)
tied = torch.randn(2, 3)
tensors["tied.a"] = tied
tensors["tied.b"] = tied

module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
state = module.state_dict()
training = {"epoch": 3, "lr": 1e-3, "note": None, "done": False, "steps": [1, 2, (3, 4)], "model": state, "optimizer": torch.optim.Adam(module.parameters()).state_dict()}

OUT.mkdir(parents=True, exist_ok=True)
torch.save(tensors, OUT / "tensors.pt")
torch.save(tensors, OUT / "protocol4.pt", pickle_protocol=4)
torch.save(training, OUT / "training.pt")
torch.save({"outer": {"anything": {"state_dict": {"w": tied}}}}, OUT / "nested.pt")
torch.save({"one": {"w": tied}, "two": {"w": tied}}, OUT / "two-models.pt")
torch.save([1, "two"], OUT / "no-tensors.pt")
torch.save({"model": state, "args": Namespace(lr=1)}, OUT / "namespace.pt")
torch.save({"w": tied, "evil": Evil()}, OUT / "evil.pt")
torch.save(tensors, OUT / "legacy.pt", _use_new_zipfile_serialization=False)
torch.save({"w": torch.eye(3).to_sparse()}, OUT / "sparse.pt")

# What later versions write beside the pickle, and the same of a big-endian machine.
for order in ["little", "big"]:
    with zipfile.ZipFile(OUT / "training.pt") as source, zipfile.ZipFile(OUT / f"byteorder-{order}.pt", "w", zipfile.ZIP_STORED) as target:
        for entry in source.namelist():
            target.writestr(zipfile.ZipInfo(entry), source.read(entry))
        target.writestr(zipfile.ZipInfo("training/byteorder"), order)
with zipfile.ZipFile(OUT / "training.pt") as source, zipfile.ZipFile(OUT / "deflated.pt", "w", zipfile.ZIP_DEFLATED) as target:
    for entry in source.namelist():
        target.writestr(zipfile.ZipInfo(entry), source.read(entry), zipfile.ZIP_DEFLATED)

tensors["parameter"] = tensors["parameter"].data
finite = {name: tensor for name, tensor in tensors.items()}
text = json.dumps({"tensors": described(finite), "training": described(state), "nested": described({"w": tied})}, ensure_ascii=False)
(OUT / "expected.json").write_text(text.replace("Infinity", "1e999"))
