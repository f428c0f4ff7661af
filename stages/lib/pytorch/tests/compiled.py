"""torch.compile and torch.export on an exported network. argv: its folder, with model.py."""

import sys

import torch

sys.path.insert(0, sys.argv[1])
import model  # noqa: E402


def batch(b, n):
    torch.manual_seed(b * 100 + n)
    inputs, hints = {}, {}
    for stage, name, location, kind, classes in model.SPEC:
        shape = {"node": [b, n], "edge": [b, n, n], "graph": [b]}[location]
        shape = shape + ([n] if "pointer" in kind else [classes] if kind == "categorical" else [])
        into = {"input": inputs, "hint": hints}.get(stage)
        if into is not None:
            into[name] = torch.rand(shape)
    return inputs, hints, torch.randint(2, 6, (b,))


def agree(one, other):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-4)


def main():
    torch.manual_seed(0)
    network = model.Model().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.2, 0.2)
        small, large = batch(2, 5), batch(3, 7)
        compiled = torch.compile(network, fullgraph=True, backend="aot_eager", dynamic=True)
        for data in (small, large):
            agree(network(*data, 4), compiled(*data, 4))
        exported = torch.export.export(network, (*small, 4), strict=False)
        agree(network(*small, 4), exported.module()(*small, 4))
        b, n = torch.export.Dim("B", min=1), torch.export.Dim("N", min=2)
        features = [torch.rand(2, 5, model.HIDDEN), torch.rand(2, 5, 5, model.HIDDEN), torch.rand(2, model.HIDDEN)]
        features += [torch.ones(2, 5, 5), torch.rand(2, 5, model.HIDDEN)]
        shapes = ({0: b, 1: n}, {0: b, 1: n, 2: n}, {0: b}, {0: b, 1: n, 2: n}, {0: b, 1: n})
        step = torch.export.export(network.processor, tuple(features), dynamic_shapes=shapes).module()
        other = [torch.rand(3, 7, model.HIDDEN), torch.rand(3, 7, 7, model.HIDDEN), torch.rand(3, model.HIDDEN)]
        other += [torch.ones(3, 7, 7), torch.rand(3, 7, model.HIDDEN)]
        for known, found in zip(network.processor(*other), step(*other)):
            torch.testing.assert_close(known, found, rtol=1e-4, atol=1e-4)
    print("compiled and exported")


main()
