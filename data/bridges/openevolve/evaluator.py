"""OpenEvolve's evaluation by this project's stages: check, train, score.

    openevolve-run seed.py evaluator.py --config config.yaml --iterations 20

What it does and which variables it reads stands in ../stages.py.
"""

import sys
from pathlib import Path

from openevolve.evaluation_result import EvaluationResult

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import stages  # noqa: E402  (its folder has just been named)


def evaluate(program_path, **unused):
    """The metrics of a program, and what the next prompt shows of it."""
    row = stages.judge(Path(program_path).read_bytes())
    return EvaluationResult(metrics=stages.metrics(row), artifacts=stages.words(row))


if __name__ == "__main__":
    print(evaluate(sys.argv[1]))
