"""A search by the real LLM4AD (PyPI llm4ad; EoH and its other methods) with this project's stages as its evaluation.

    EMBERLINE_RUN=runs/llm4ad python data/bridges/llm4ad/run.py --api-base http://localhost:11434/v1 --model qwen3:32b --samples 20

LLM4AD writes one function at a time. Here it is `triplet_messages`, which stands in the ACTION region of the seed program in
place of the region's own lines; the OPERATOR region stays as it is, since LLM4AD cannot edit a second place.
"""

import argparse
import ast
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import stages  # noqa: E402  (its folder has just been named)

BEGIN, END = "# ===== BEGIN ACTION REGION =====", "# ===== END ACTION REGION ====="
NAME = "triplet_messages"
ARGUMENTS = "self, z, edge_fts, graph_fts, adj_mat"
TASK = """You improve a message-passing processor for neural algorithmic reasoning, a PyTorch program. Its triplet channel gives the
decoders one embedding for each ordered pair of nodes. The function that you write computes it; its score is the accuracy on graphs
larger than those of training. It is never executed: a checker understands it, so that it may use torch, F (torch.nn.functional) and
the layers of the program alone: self.t_1, self.t_2, self.t_3 of z, self.t_e_1, self.t_e_2, self.t_e_3 of edge_fts, self.t_g of
graph_fts, each to T features; self.o3 from T to H features; self.activation."""
ABOUT = """One embedding per ordered pair of nodes.

    Args:
        z: features of nodes, [B, N, 2H].
        edge_fts: features of edges, [B, N, N, H]; at [b, i, j] of the edge from i to j.
        graph_fts: features of graphs, [B, H].
        adj_mat: the adjacency, 0 or 1, [B, N, N].

    Return:
        Messages, [B, N, N, H].
    """


def parts(source):
    """A program before its ACTION region, the region's lines without indentation, and what is behind it."""
    lines = source.splitlines()
    at = {mark: [i for i, line in enumerate(lines) if line.strip() == mark] for mark in (BEGIN, END)}
    if [len(found) for found in at.values()] != [1, 1]:
        raise SystemExit("error: the program needs one ACTION region")
    first, last = at[BEGIN][0], at[END][0]
    indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
    return lines[: first + 1], [line.removeprefix(indent) for line in lines[first + 1 : last]], lines[last:], indent


def template(source):
    """What LLM4AD begins with: the region as a function of a module."""
    body = [f"    {line}" if line.strip() else "" for line in parts(source)[1]]
    head = f'import torch\nimport torch.nn.functional as F\n\n\ndef {NAME}({ARGUMENTS}) -> torch.Tensor:\n    """{ABOUT}"""\n'
    return head + "\n".join(body) + "\n    return tri_msgs\n"


def whole(source, text):
    """The program with a function of LLM4AD's (the text of a module) in its ACTION region."""
    found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == NAME]
    if len(found) != 1:
        raise ValueError(f"one function {NAME} is expected, {len(found)} were written")
    # Annotations are evaluated by Python and of no use here; comments are lost.
    function = ast.unparse(found[0]).splitlines()
    before, _, behind, indent = parts(source)
    call = f"tri_msgs = {NAME}({ARGUMENTS})"
    return "\n".join(before + [f"{indent}{line}".rstrip() for line in function + [call]] + behind) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=stages.ROOT / "data" / "seed_pgn.py")
    parser.add_argument("--api-base", default="http://localhost:11434/v1", help="an OpenAI-compatible server")
    parser.add_argument("--api-key", default="none")
    parser.add_argument("--model", default="qwen3:32b")
    parser.add_argument("--method", choices=("eoh", "hillclimb", "randsample", "funsearch"), default="eoh")
    parser.add_argument("--samples", type=int, default=20)
    args = parser.parse_args()
    source = args.program.read_text(encoding="utf-8")
    run = stages.folder()

    # Late, so that --help needs no LLM4AD.
    from llm4ad.base import Evaluation
    from llm4ad.method.eoh import EoH, EoHProfiler
    from llm4ad.method.funsearch import FunSearch
    from llm4ad.method.hillclimb import HillClimb, HillClimbProfiler
    from llm4ad.method.randsample import RandSample, RandSampleProfiler
    from llm4ad.tools.llm.llm_api_openai import OpenAIAPI
    from llm4ad.tools.profiler import ProfilerBase

    class Stages(Evaluation):
        """Scores by check, train and score. Nothing is executed (`exec_code`), so nothing needs a process to be safe in."""

        def __init__(self):
            super().__init__(template(source), TASK, exec_code=False, safe_evaluate=False)

        def evaluate_program(self, program_str, callable_func, **unused):
            row = stages.judge(whole(source, program_str).encode())
            return row.get("fitness")

    # The first row of a run is the program that the search starts from.
    if not (run / stages.EVALUATED).exists():
        stages.judge(source.encode())
    llm = OpenAIAPI(args.api_base, args.api_key, args.model, timeout=900)
    methods = {
        "eoh": (EoH, EoHProfiler, {"max_generations": None, "pop_size": 5}),
        "hillclimb": (HillClimb, HillClimbProfiler, {}),
        "randsample": (RandSample, RandSampleProfiler, {}),
        "funsearch": (FunSearch, ProfilerBase, {"samples_per_prompt": 1}),
    }
    method, profiler, settings = methods[args.method]
    profiler = profiler(log_dir=str(run / "llm4ad"), log_style="simple")
    # One after the other, as our own methods make their attempts.
    method(llm, Stages(), profiler, max_sample_nums=args.samples, num_samplers=1, num_evaluators=1, **settings).run()


if __name__ == "__main__":
    main()
