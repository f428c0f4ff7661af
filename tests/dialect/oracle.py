"""What PyTorch computes with programs, as cases for `probe program`: outputs and gradients in evaluation, for two sizes, and in training,
with the noise that is drawn here.

    python oracle.py PROBE FOLDER [SEED COUNT]

With SEED and COUNT, random programs are written to FOLDER first. For every FOLDER/NAME.py there is a line of JSON: its name, and what
PyTorch said where it refused. Where it did not, FOLDER/NAME.safetensors is the case. PROBE is the binary that tells the noise of a call.
"""

import contextlib
import importlib.util
import json
import math
import pathlib
import subprocess
import sys
import warnings

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from generate import generate

H = 16


class Noise:
    """Numbers between 0 and 1, drawing by drawing. They lie with the batch as the first axis, and are asked for in any shape."""

    def __init__(self, drawings, batch):
        self.drawings, self.batch, self.count = drawings, batch, 0

    def uniform(self, shape):
        shape = list(shape)
        drawn = self.drawings[f"train/noise/{self.count}"]
        self.count += 1
        for axis, size in enumerate(shape):
            inner, rest = divmod(size, self.batch)
            made = [self.batch, *shape[:axis], *([inner] if inner != 1 else []), *shape[axis + 1:]]
            if rest == 0 and inner > 0 and made == list(drawn.shape):
                return drawn.movedim(0, axis).reshape(shape)
        return drawn.reshape(shape)

    def normal(self, shape):
        radius, angle = self.uniform(shape), self.uniform(shape)
        return (-2 * radius.log()).sqrt() * torch.cos(2 * math.pi * angle)


def kept(noise, x, shape, p, inplace):
    result = x * ((noise.uniform(shape) < 1 - p).float() / (1 - p))
    return x.copy_(result) if inplace else result


def replacements(noise):
    """What draws in PyTorch, drawing from `noise` instead."""

    def dropout(x, p=0.5, training=True, inplace=False):
        return kept(noise, x, x.shape, p, inplace) if training and p > 0 else x

    def channels(behind):
        def drop(x, p=0.5, training=True, inplace=False):
            first = 1 if behind != 2 and x.dim() == behind + 1 else 2
            shape = [*x.shape[:first], *[1] * (x.dim() - first)]
            return kept(noise, x, shape, p, inplace) if training and p > 0 else x

        return drop

    def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, **_):
        scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
        if attn_mask is not None:
            scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        return dropout(scores.softmax(-1), dropout_p) @ v

    def gumbel(logits, tau=1, hard=False, eps=1e-10, dim=-1):
        soft = ((logits - (-noise.uniform(logits.shape).log()).log()) / tau).softmax(dim)
        chosen = torch.zeros_like(logits).scatter(dim, soft.argmax(dim, keepdim=True), 1.0)
        return chosen - soft.detach() + soft if hard else soft

    sizes = lambda given: list(given) if len(given) != 1 or isinstance(given[0], int) else list(given[0])
    tensor = torch.Tensor
    return [
        (F, "dropout", dropout),
        (F, "dropout1d", channels(1)),
        (F, "dropout2d", channels(2)),
        (F, "dropout3d", channels(3)),
        (F, "gumbel_softmax", gumbel),
        (F, "scaled_dot_product_attention", attention),
        (torch, "rand", lambda *size, **_: noise.uniform(sizes(size))),
        (torch, "randn", lambda *size, **_: noise.normal(sizes(size))),
        (torch, "rand_like", lambda x, **_: noise.uniform(x.shape)),
        (torch, "randn_like", lambda x, **_: noise.normal(x.shape)),
        (torch, "bernoulli", lambda x: (noise.uniform(x.shape) < x).float()),
        (tensor, "uniform_", lambda x, low=0.0, high=1.0: x.copy_(noise.uniform(x.shape) * (high - low) + low)),
        (tensor, "normal_", lambda x, mean=0.0, std=1.0: x.copy_(noise.normal(x.shape) * std + mean)),
        (tensor, "bernoulli_", lambda x, p=0.5: x.copy_((noise.uniform(x.shape) < p).float())),
        (tensor, "exponential_", lambda x, rate=1.0: x.copy_(-noise.uniform(x.shape).log() / rate)),
    ]


@contextlib.contextmanager
def drawing_from(noise):
    known = [(owner, name, getattr(owner, name)) for owner, name, _ in replacements(noise)]
    for owner, name, function in replacements(noise):
        setattr(owner, name, function)
    try:
        yield
    finally:
        for owner, name, function in known:
            setattr(owner, name, function)


def inputs(batch, nodes):
    edges = (torch.rand(batch, nodes, nodes) > 0.5) | torch.eye(nodes, dtype=torch.bool)
    return {
        "node_fts": torch.randn(batch, nodes, H),
        "edge_fts": torch.randn(batch, nodes, nodes, H),
        "graph_fts": torch.randn(batch, H),
        "adj_mat": edges.float(),
        "hidden": torch.randn(batch, nodes, H),
    }


def run(processor, case, prefix, given, noise=None):
    """One call and its gradients, into `case`."""
    weights = {"ret": torch.randn_like(given["hidden"]), "tri_msgs": torch.randn_like(given["edge_fts"])}
    for name, value in given.items():
        case[f"{prefix}in/{name}"] = value.clone()
        value.requires_grad_(name != "adj_mat")
    processor.zero_grad()
    with drawing_from(noise) if noise else contextlib.nullcontext():
        outputs = processor(**given)
    loss = 0
    for name, weight, value in zip(["ret", "tri_msgs"], ["w_ret", "w_tri"], outputs):
        if value is not None:
            case[f"{prefix}in/{weight}"], case[f"{prefix}out/{name}"] = weights[name], value.detach().clone()
            loss = loss + (value * weights[name]).sum()
    case[f"{prefix}out/loss"] = loss.detach().clone()
    loss.backward()
    zeros = lambda x: torch.zeros_like(x) if x.grad is None else x.grad.clone()
    for name, parameter in processor.named_parameters():
        if parameter.requires_grad:
            case[f"{prefix}grad/{name}"] = zeros(parameter)
    for name in ["node_fts", "edge_fts", "graph_fts", "hidden"]:
        case[f"{prefix}grad_in/{name}"] = zeros(given[name])


def write(probe, program):
    spec = importlib.util.spec_from_file_location(program.stem, program)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(1)
    processor = module.get_processor_factory(kind="mpnn", use_ln=True, nb_triplet_fts=8, nb_heads=None)(H).eval()
    processor(**inputs(2, 4))
    with torch.no_grad():
        for parameter in processor.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    case = {f"param/{name}": value.detach().clone().float() for name, value in processor.state_dict().items()}
    run(processor, case, "", inputs(3, 5))
    run(processor, case, "case2/", inputs(1, 3))
    path, drawn = program.with_suffix(".safetensors"), program.with_suffix(".noise")
    save = lambda: save_file({name: value.contiguous().clone() for name, value in case.items()}, path)
    save()
    told = subprocess.run([probe, "program", program, path, "--export-noise", drawn], capture_output=True, text=True)
    # a program that is refused has no noise; whether it should be is not decided here
    if told.returncode == 0:
        noise = Noise({name: value.float() for name, value in load_file(drawn).items()}, 3)
        processor.train()
        run(processor, case, "train/", inputs(3, 5), noise)
        assert noise.count == len(noise.drawings), f"PyTorch draws {noise.count} times, we {len(noise.drawings)}"
        case |= noise.drawings
        for name, buffer in processor.named_buffers():
            if "running" in name:
                case[f"train/buffer/{name}"] = buffer.detach().clone().float()
        save()


def main():
    probe, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if len(sys.argv) > 3:
        seed, count = int(sys.argv[3]), int(sys.argv[4])
        for number in range(count):
            (folder / f"random_{seed}_{number:04}.py").write_text(generate(seed, number))
    for program in sorted(folder.glob("*.py")):
        error = None
        try:
            with contextlib.redirect_stdout(sys.stderr):
                write(probe, program)
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
            program.with_suffix(".safetensors").unlink(missing_ok=True)
        print(json.dumps({"name": program.name, "error": error}), flush=True)


if __name__ == "__main__":
    main()
