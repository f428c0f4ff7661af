"""Scores the exported network: prints the accuracies that the search measured, computed anew in PyTorch.

    python evaluate.py                          every training, on the samples of the search
    python evaluate.py --split test --training 0
    python evaluate.py --samples mine.parquet   other samples: `sample --algorithm TASK --pipeline ... -o mine.parquet`

Needs torch, safetensors, and pyarrow or duckdb. Exit codes: 0 done, 1 an accuracy is not the one that was measured,
2 wrong usage.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import torch
from safetensors import safe_open

from model import SPEC, TASK, load

HERE = Path(__file__).resolve().parent
# What is no target of a datum.
MASKED = -1.0
MASK_SUFFIX = "_mask"


def read_table(path):
    """The samples of a Parquet file: a list of values for each datum that the network is given or should put out."""
    columns = [f"{stage}_{name}" for stage, name, *_ in SPEC]
    try:
        import pyarrow.compute as compute
        import pyarrow.parquet as parquet
    except ImportError:
        return read_with_duckdb(path, columns)
    file = parquet.ParquetFile(path)
    check_columns(path, columns, file.schema_arrow.names)
    table = file.read(columns=["algorithm", "steps", *columns])
    values = {"algorithm": table["algorithm"].to_pylist(), "steps": table["steps"].to_pylist()}
    for column in columns:
        data = table[column]
        # Of hints only the first step is given to a network.
        first = compute.list_element(data, 0) if column.startswith("hint_") else data
        values[column] = first.to_pylist()
    return values


def read_with_duckdb(path, columns):
    try:
        import duckdb
    except ImportError:
        sys.exit("error: to read Parquet, install pyarrow or duckdb")
    names = [row[0] for row in duckdb.execute("describe select * from read_parquet(?)", [str(path)]).fetchall()]
    check_columns(path, columns, names)
    chosen = [f'"{column}"[1]' if column.startswith("hint_") else f'"{column}"' for column in columns]
    query = f"select algorithm, steps, {', '.join(chosen)} from read_parquet(?)"
    rows = duckdb.execute(query, [str(path)]).fetchall()
    return {name: [row[at] for row in rows] for at, name in enumerate(["algorithm", "steps", *columns])}


def check_columns(path, columns, there):
    missing = [column for column in columns if column not in there]
    if missing:
        sys.exit(
            f"error: {path} has no column {missing[0]}: write samples of {TASK} with "
            f"`sample --algorithm {TASK} --pipeline ... -o FILE.parquet`"
        )


def to_tensor(values, kind, nodes, dtype, device):
    """A datum as the network is given it: pointers become one-hot rows."""
    if kind == "pointer":
        index = torch.tensor(values, dtype=torch.int64, device=device)
        return torch.nn.functional.one_hot(index, nodes).to(dtype)
    return torch.tensor(values, dtype=torch.float64, device=device).to(dtype)


def batches(table, size, dtype, device):
    """Batches of samples of one size: inputs, first hints, true outputs, numbers of hints."""
    count = len(table["steps"])
    for first in range(0, count, size):
        rows = slice(first, first + size)
        # Every task has positions of nodes.
        nodes = len(table["input_pos"][first])
        data = {"input": {}, "hint": {}, "output": {}}
        for stage, name, _, kind, _ in SPEC:
            values = table[f"{stage}_{name}"][rows]
            if stage == "output":
                data[stage][name] = torch.tensor(values, dtype=torch.float64, device=device)
            else:
                data[stage][name] = to_tensor(values, kind, nodes, dtype, device)
        yield data["input"], data["hint"], data["output"], table["steps"][rows]


def sinkhorn(logits):
    nodes = logits.shape[-1]
    value = logits / 0.1 - 1e6 * torch.eye(nodes, dtype=logits.dtype, device=logits.device)
    for _ in range(50):
        value = torch.log_softmax(torch.log_softmax(value, -1), -2)
    return value


def read_off(kind, logits):
    """The final prediction of an output: pointers as indices, masks as 0 and 1, the rest one-hot."""
    if kind == "scalar":
        return logits.double()
    if kind == "mask":
        return (logits > 0).double()
    if kind == "pointer":
        return logits.argmax(-1).double()
    if kind == "permutation_pointer":
        logits = sinkhorn(logits)
    return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).double()


class Score:
    """How right the predictions of an output are, over all samples at once."""

    def __init__(self, kind):
        self.kind = kind
        self.counts = torch.zeros(3, dtype=torch.float64)

    def add(self, truth, prediction, masks):
        if self.kind == "mask":
            counted = truth != MASKED
            is_set, said = truth > 0.5, prediction > 0.5
            parts = [is_set & said, ~is_set & said, is_set & ~said]
            self.counts += torch.stack([(part & counted).sum().double().cpu() for part in parts])
            return
        if self.kind == "scalar":
            right = (truth - prediction) ** 2
        elif self.kind in ("mask_one", "categorical"):
            counted = (truth != MASKED).all(-1)
            right = (truth.argmax(-1) == prediction.argmax(-1))[counted]
        elif self.kind == "permutation_pointer":
            right = pointers(truth, masks and masks[0]) == pointers(prediction, masks and masks[1])
        else:
            right = truth == prediction
        self.counts += torch.tensor([right.double().sum().item(), right.numel(), 0.0], dtype=torch.float64)

    def value(self):
        first, second, third = self.counts.tolist()
        if self.kind != "mask":
            return first / second if second else math.nan
        precision = first / (first + second) if first + second else 1.0
        recall = first / (first + third) if first + third else 1.0
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def pointers(permutation, mask):
    """The node that each row points at; where the mask is set, a node points at itself."""
    found = permutation.argmax(-1)
    if mask is None:
        return found
    itself = torch.arange(found.shape[-1], device=found.device).expand_as(found)
    return torch.where(mask == 1, itself, found)


@torch.no_grad()
def accuracy(network, table, size, device):
    """The mean over outputs of how right they are; of a scalar its mean squared error."""
    dtype = next(network.parameters()).dtype
    outputs = {name: kind for stage, name, _, kind, _ in SPEC if stage == "output"}
    permutations = [name for name, kind in outputs.items() if kind == "permutation_pointer"]
    belongs = {name + MASK_SUFFIX: name for name in permutations if name + MASK_SUFFIX in outputs}
    scores = {name: Score(kind) for name, kind in outputs.items() if name not in belongs}
    for inputs, hints, truths, lengths in batches(table, size, dtype, device):
        steps = max(max(lengths) - 1, 1)
        raw = network(inputs, hints, torch.tensor(lengths, device=device), steps)
        predictions = {name: read_off(outputs[name], value) for name, value in raw.items()}
        for name, score in scores.items():
            mask = name + MASK_SUFFIX
            masks = (truths[mask], predictions[mask]) if mask in belongs else None
            score.add(truths[name], predictions[name], masks)
    values = [score.value() for score in scores.values()]
    return sum(values) / len(values)


def spread(values):
    """Mean and standard deviation (n - 1); that of one value is 0."""
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=["ood", "test"], help="one of the two sets of samples [default: both]")
    parser.add_argument("--samples", metavar="FILE", help="other samples, as `sample --pipeline` writes them")
    parser.add_argument("--training", type=int, metavar="K", help="one of the trainings, from 0 [default: all]")
    parser.add_argument("--batch-size", type=int, default=32, help="samples at a time; scores do not depend on it")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if args.batch_size < 1:
        parser.error("--batch-size must be at least 1")
    with safe_open(HERE / "model.safetensors", "pt") as file:
        about = file.metadata()
    trainings = json.loads(about["trainings"])
    if args.training is not None:
        if not 0 <= args.training < len(trainings):
            parser.error(f"--training must be from 0 to {len(trainings) - 1}")
        trainings = [trainings[args.training]]
    networks = [load(HERE / training["file"], args.device) for training in trainings]
    if args.samples:
        splits = [{"name": "samples", "file": args.samples}]
    else:
        splits = [split for split in json.loads(about["splits"]) if args.split in (None, split["name"])]
    same = True
    for split in splits:
        path = Path(args.samples) if args.samples else HERE / split["file"]
        if not path.exists():
            sys.exit(f"error: {path} does not exist")
        table = read_table(path)
        if not table["steps"] or any(name != TASK for name in table["algorithm"]):
            sys.exit(f"error: {path} does not hold samples of {TASK} alone")
        found, measured = [], []
        for training, network in zip(trainings, networks):
            value = accuracy(network, table, args.batch_size, args.device)
            known = training.get(split["name"])
            found.append(value)
            measured.append(known)
            claim = "" if known is None else f", in the search {known:.4f}"
            print(f"  training seed {training['seed']}: {split['name']} {value:.4f}{claim}", flush=True)
        mean, std = spread(found)
        plural = "" if len(found) == 1 else "s"
        print(f"{split['name']} {mean:.4f} \u00b1 {std:.4f} over {len(found)} training seed{plural}", end="")
        if None in measured:
            print(f" ({len(table['steps'])} graphs)")
            continue
        known, known_std = spread(measured)
        # Decisions that hang on the last digits may fall otherwise on another machine; more may not.
        agrees = abs(mean - known) <= 0.005
        same = same and agrees
        print(f", in the search {known:.4f} \u00b1 {known_std:.4f}{'' if agrees else ': THEY DIFFER'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
