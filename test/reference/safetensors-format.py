"""The safetensors format by hand, with numpy alone.

python3 test/reference/safetensors-format.py            makes test/fixtures/train/by-numpy.safetensors
python3 test/reference/safetensors-format.py FILE       prints what is in FILE as JSON
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?"}


def read(path):
    raw = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        start, end = (8 + length + at for at in entry["data_offsets"])
        values = np.frombuffer(raw[start:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = {"dtype": entry["dtype"], "shape": list(values.shape), "values": values.ravel().tolist(), "aligned": (start % values.itemsize) == 0}
    return {"metadata": metadata, "tensors": tensors, "headerBytes": length}


def write(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, dtype, values in tensors:
        values = np.asarray(values, DTYPES[dtype])
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [len(data), len(data) + values.nbytes]}
        data += values.tobytes()
    text = json.dumps(header).encode()
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(read(sys.argv[1])))
    else:
        # Unpadded header and a first tensor of one byte: everything after it is unaligned.
        write(
            "test/fixtures/train/by-numpy.safetensors",
            [
                ("one", "U8", [200]),
                ("f32", "F32", [[0.5, -1.25, 3], [4, 5, 6]]),
                ("f16", "F16", [1, -2, 65504]),
                ("i64", "I64", [-(2**62), 7]),
                ("scalar", "F64", 0.1),
                ("empty", "F32", np.zeros((8, 0, 32))),
                ("flags", "BOOL", [True, False, True]),
                ("größe", "I16", [-3, 9]),
            ],
            {"by": "numpy"},
        )
