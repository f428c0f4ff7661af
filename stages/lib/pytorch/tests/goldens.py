"""Exported networks against what dm-clrs computed: raw outputs, predictions and scores of each case.

argv: a folder with a folder for each case (model.py, names.json), and the folder of the reference cases.
"""

import importlib.util
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file


def imported(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def our_name(row):
    leaf = {"w": "weight", "scale": "weight", "b": "bias", "offset": "bias"}[row["name"]]
    if row["part"] not in ("encoder", "decoder"):
        layer = {"msg_mlp_0": "msg_mlp.0", "msg_mlp_1": "msg_mlp.2"}.get(row["role"], row["role"])
        return f"processor.{layer}.{leaf}"
    return f"{row['part']}s.{row['data_point']}.{row['role'].split('_')[1]}.{leaf}"


def check(case, folder, reference):
    model = imported("model", folder / "model.py")
    evaluate = imported("evaluate", Path(sys.argv[3]))
    about = json.loads((reference / f"{case}.json").read_text())
    golden = load_file(reference / f"{case}.safetensors")
    names = json.loads((folder / "names.json").read_text())
    network = model.Model().eval()
    state = {}
    for key, row in about["parameters"].items():
        value = golden[f"param/{key}"]
        state[names[our_name(row)]] = (value.T if row["name"] == "w" else value).contiguous()
    network.load_state_dict(state)
    data = {"input": {}, "hint": {}, "output": {}}
    lengths = golden["lengths"].long()
    nodes = golden["input/pos"].shape[1]
    for stage, name, _, kind, _ in model.SPEC:
        value = golden[f"{stage}/{name}"]
        value = value[0] if stage == "hint" else value
        if stage == "output":
            data[stage][name] = value.double()
        else:
            data[stage][name] = evaluate.to_tensor(value.tolist(), kind, nodes, torch.float32, "cpu")
    steps = max(max(golden[f"hint/{n}"].shape[0] for s, n, *_ in model.SPEC if s == "hint") - 1, 1)
    worst = 0.0
    with torch.no_grad():
        raw = network(data["input"], data["hint"], lengths, steps)
    outputs = {name: kind for stage, name, _, kind, _ in model.SPEC if stage == "output"}
    for name, value in raw.items():
        theirs = golden[f"raw_predict/{name}"]
        error = ((value - theirs).abs() / theirs.abs().clamp(min=0.01 * theirs.abs().max().item() + 1.0)).max().item()
        assert error < 1e-4, f"{case}: {name} is off by {error}"
        worst = max(worst, error)
        prediction = evaluate.read_off(outputs[name], value)
        assert (prediction == golden[f"pred/{name}"].double()).all() or outputs[name] == "scalar", f"{case}: {name}"
    # Scores over the same path as the script's.
    table = {"steps": lengths.tolist(), "algorithm": [model.TASK] * len(lengths)}
    for stage, name, *_ in model.SPEC:
        value = golden[f"{stage}/{name}"]
        value = value[0] if stage == "hint" else value
        table[f"{stage}_{name}"] = (value.long() if dict(pointer=1).get(dict((n, k) for _, n, _, k, _ in model.SPEC)[name]) else value).tolist()
    for size in (32, 1):
        score = evaluate.accuracy(network, table, size, "cpu")
        known = about["evaluation"]["score"]
        assert abs(score - known) < 1e-5, f"{case}: scored {score}, not {known}"
    return worst


def main():
    torch.set_num_threads(2)
    folder, reference = Path(sys.argv[1]), Path(sys.argv[2])
    cases = sorted(path.name for path in folder.iterdir())
    for case in cases:
        print(f"{case}: largest difference {check(case, folder / case, reference):.1e}")
    print(f"{len(cases)} cases")


main()
