"""Makes test/fixtures/model/bert: a small random BERT in the layout of a Hugging Face folder, and what it computes.

The encoder (Devlin et al. 2018) is written with torch.nn alone, in float64: post-norm layers, exact GELU, LayerNorm eps 1e-12,
padding masked with -inf. Names of tensors are those of Hugging Face's BertModel behind the prefix of CXR-BERT. Gradients by autograd.

Run from the repository root: python3 test/reference/bert.py
"""

import importlib
import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
write = importlib.import_module("safetensors-format").write

torch.manual_seed(11)
torch.set_default_dtype(torch.float64)
VOCABULARY, WIDTH, LAYERS, HEADS, FEED_FORWARD, POSITIONS, EPS = 41, 15, 3, 3, 23, 64, 1e-12
OUT = Path("test/fixtures/model/bert")


class Named(nn.Module):
    """Children under the names that they are given."""

    def __init__(this, /, **children):  # a child may be called "self"
        super().__init__()
        for name, child in children.items():
            setattr(this, name, child)


def layer():
    return Named(
        attention=Named(
            self=Named(query=nn.Linear(WIDTH, WIDTH), key=nn.Linear(WIDTH, WIDTH), value=nn.Linear(WIDTH, WIDTH)),
            output=Named(dense=nn.Linear(WIDTH, WIDTH), LayerNorm=nn.LayerNorm(WIDTH, EPS)),
        ),
        intermediate=Named(dense=nn.Linear(WIDTH, FEED_FORWARD)),
        output=Named(dense=nn.Linear(FEED_FORWARD, WIDTH), LayerNorm=nn.LayerNorm(WIDTH, EPS)),
    )


def heads_of(x):
    return x.reshape(*x.shape[:2], HEADS, WIDTH // HEADS).transpose(1, 2)


def run_layer(part, x, visible):
    own = part.attention.self
    q, k, v = (heads_of(projection(x)) for projection in (own.query, own.key, own.value))
    scores = q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)
    weights = scores.masked_fill(~visible[:, None, None, :], -math.inf).softmax(-1)
    context = (weights @ v).transpose(1, 2).reshape(x.shape)
    middle = part.attention.output.LayerNorm(x + part.attention.output.dense(context))
    return part.output.LayerNorm(middle + part.output.dense(F.gelu(part.intermediate.dense(middle))))


def embed(bert, ids):
    table = bert.embeddings
    positions = torch.arange(ids.shape[1])
    types = torch.zeros_like(ids)
    return table.LayerNorm(table.word_embeddings(ids) + table.token_type_embeddings(types) + table.position_embeddings(positions))


def main():
    bert = Named(
        embeddings=Named(
            word_embeddings=nn.Embedding(VOCABULARY, WIDTH), position_embeddings=nn.Embedding(POSITIONS, WIDTH),
            token_type_embeddings=nn.Embedding(2, WIDTH), LayerNorm=nn.LayerNorm(WIDTH, EPS),
        ),
        encoder=Named(layer=nn.ModuleList(layer() for _ in range(LAYERS))),
        pooler=Named(dense=nn.Linear(WIDTH, WIDTH)),
    )
    with torch.no_grad():
        for parameter in bert.parameters():
            # Far from its initial values, so that no weight or bias can be forgotten unseen.
            parameter.copy_((parameter + 0.3 * torch.randn_like(parameter)).float())

    cases = {}
    for name, lengths in {"many": [13, 1, 7, 4], "three": [3], "single": [1], "full": [63, 64]}.items():
        tokens = max(lengths)
        ids = torch.zeros(len(lengths), tokens, dtype=torch.long)
        for row, length in enumerate(lengths):
            ids[row, :length] = torch.randint(1, VOCABULARY, (length,))
        visible = torch.arange(tokens)[None, :] < torch.tensor(lengths)[:, None]
        states = [embed(bert, ids)]
        for part in bert.encoder.layer:
            states.append(run_layer(part, states[-1], visible))
        cases[name] = (ids, lengths, states)

    ids, lengths, states = cases["many"]
    dy = torch.randn(len(lengths), WIDTH).float().double()
    (states[-1][:, 0] * dy).sum().backward()
    gradients = {name: parameter.grad for name, parameter in bert.named_parameters() if not name.startswith("pooler.")}

    OUT.mkdir(parents=True, exist_ok=True)
    weights = [(f"bert.{name}", "F32", value.detach().numpy()) for name, value in bert.state_dict().items()]
    weights.append(("bert.embeddings.position_ids", "I64", torch.arange(POSITIONS)[None].numpy()))
    weights.append(("cls_projection_head.dense_to_hidden.weight", "F32", torch.randn(4, WIDTH).numpy()))
    write(OUT / "model.safetensors", weights, {"format": "pt"})
    # As checkpoints from TensorFlow are: PyTorch's own file, the LayerNorms under their old names.
    old = {name: value.float() for name, value in bert.state_dict().items()}
    old = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value for name, value in old.items()}
    torch.save(old, OUT / "pytorch_model.bin")
    (OUT / "config.json").write_text(json.dumps({
        "architectures": ["CXRBertModel"], "model_type": "cxr-bert", "hidden_act": "gelu", "hidden_size": WIDTH, "intermediate_size": FEED_FORWARD,
        "layer_norm_eps": EPS, "max_position_embeddings": POSITIONS, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS,
        "position_embedding_type": "absolute", "projection_size": 4, "type_vocab_size": 2, "vocab_size": VOCABULARY,
    }, indent=1) + "\n")
    tensors = [("dY", "F32", dy.numpy())]
    for name, (ids, lengths, states) in cases.items():
        tensors += [(f"{name}.ids", "U32", ids.numpy()), (f"{name}.lengths", "U32", lengths)]
        kept = states if name == "many" else states[-1:]
        tensors += [(f"{name}.state{len(states) - len(kept) + at}", "F32", state.detach().numpy()) for at, state in enumerate(kept)]
    tensors += [(f"gradient.{name}", "F32", value.numpy()) for name, value in gradients.items()]
    write(OUT / "outputs.safetensors", tensors, {"torch": torch.__version__})


main()
