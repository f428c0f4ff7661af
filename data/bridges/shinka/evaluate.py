"""ShinkaEvolve's evaluation by this project's stages: check, train, score. `run.py` beside it starts a search.

What it does and which variables it reads stands in ../stages.py.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import stages  # noqa: E402  (its folder has just been named)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program_path", type=Path, required=True)
    parser.add_argument("--results_dir", type=Path, required=True)
    args, _ = parser.parse_known_args()
    row = stages.judge(args.program_path.read_bytes())
    numbers, said = stages.metrics(row), stages.words(row)
    # A program that is refused is wrong for ShinkaEvolve; the reason goes into its next prompts as feedback.
    correct = row.get("fitness") is not None
    feedback = "\n".join(f"{name}: {text}" for name, text in said.items())
    metrics = {
        "combined_score": numbers.pop("combined_score"),
        "public": numbers,
        "private": {},
        "text_feedback": feedback,
    }
    args.results_dir.mkdir(parents=True, exist_ok=True)
    (args.results_dir / "metrics.json").write_text(json.dumps(metrics, indent=1), encoding="utf-8")
    outcome = {"correct": correct, "error": None if correct else feedback}
    (args.results_dir / "correct.json").write_text(json.dumps(outcome, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
