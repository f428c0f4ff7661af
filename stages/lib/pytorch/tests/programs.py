"""Exported processors against what their graphs mean. argv: a folder with a folder for each program.

Each has model.py and case.json: the state, inputs and outputs, computed in float64.
"""

import importlib.util
import json
import sys
from pathlib import Path

import torch


def tensor(value):
    numbers = [float(x) for x in value["data"]]
    return torch.tensor(numbers, dtype=torch.float64).reshape(value["shape"])


def check(folder):
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.Model().double().eval()
    for case in json.loads((folder / "case.json").read_text()):
        prefix = "processor."
        state = {name[len(prefix) :]: tensor(value) for name, value in case["state"].items()}
        network.processor.load_state_dict(state)
        inputs = {name: tensor(value) for name, value in case["inputs"].items()}
        with torch.no_grad():
            values = network.processor(**inputs)
        assert (values[1] is None) == (len(case["outputs"]) == 1), folder.name
        for value, wanted in zip(values, case["outputs"]):
            wanted = tensor(wanted)
            assert value.shape == wanted.shape, f"{folder.name}: {value.shape}, not {wanted.shape}"
            size = max(1.0, wanted.abs().max().item())
            error = (value - wanted).abs().max().item() / size
            assert error < 1e-9, f"{folder.name}: off by {error}"


def main():
    torch.set_num_threads(2)
    failed = 0
    folders = sorted(Path(sys.argv[1]).iterdir())
    for folder in folders:
        try:
            check(folder)
        except Exception as error:
            failed += 1
            print(f"FAILED {folder.name}: {type(error).__name__}: {error}")
    print(f"{len(folders) - failed} of {len(folders)} programs agree")
    sys.exit(1 if failed else 0)


main()
