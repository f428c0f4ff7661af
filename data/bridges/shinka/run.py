"""A search by the real ShinkaEvolve (PyPI shinka-evolve) with this project's stages as its evaluation.

    EMBERLINE_RUN=runs/shinka python data/bridges/shinka/run.py --api-base http://localhost:11434/v1 --model qwen3:32b --generations 20

The seed program gets ShinkaEvolve's marks around its two regions: nothing else is edited. The same command goes on with a
search that was interrupted. At the end, and with --trace alone, what came from what is written for `propose --import shinka`.
"""

import argparse
import json
import os
import sqlite3
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import stages  # noqa: E402  (its folder has just been named)

TASK = (
    "You improve a message-passing processor for neural algorithmic reasoning, a PyTorch program. Its function "
    "get_processor_factory and the shapes of inputs and outputs stay as they are; you edit between the marks alone. "
    "combined_score is the accuracy on graphs larger than those of training. The program is never executed: a checker "
    "understands it, so that it may import torch and the standard modules math, typing and abc alone."
)


def marked(source):
    """The program with a pair of marks around the lines of each region."""
    lines = []
    for line in source.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        ends = "===== END " in line and "REGION" in line
        lines += [f"{indent}# EVOLVE-BLOCK-END"] if ends else []
        lines.append(line)
        begins = "===== BEGIN " in line and "REGION" in line
        lines += [f"{indent}# EVOLVE-BLOCK-START"] if begins else []
    if not any("EVOLVE-BLOCK" in line for line in lines):
        raise SystemExit("error: the program has no regions (# ===== BEGIN ... REGION =====)")
    return "\n".join(lines) + "\n"


def trace(run, database):
    """Writes from ShinkaEvolve's database which program came from which, and when."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    rows = connection.execute(
        "select child.generation, child.island_idx, parent.code, child.code from programs child "
        "join programs parent on parent.id = child.parent_id order by child.generation, child.timestamp"
    ).fetchall()
    connection.close()
    names = ("iteration", "island_id", "parent_code", "child_code")
    text = "".join(json.dumps(dict(zip(names, row))) + "\n" for row in rows)
    partial = run / f"{stages.TRACE}.tmp"
    partial.write_text(text, encoding="utf-8")
    partial.replace(run / stages.TRACE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=stages.ROOT / "data" / "seed_pgn.py")
    parser.add_argument("--api-base", default="http://localhost:11434/v1", help="an OpenAI-compatible server")
    parser.add_argument("--model", default="qwen3:32b")
    parser.add_argument("--generations", type=int, default=20)
    parser.add_argument("--islands", type=int, default=2)
    parser.add_argument("--trace", action="store_true", help="only write what came from what, of a search that there is")
    args = parser.parse_args()
    run = stages.folder().resolve()
    results, database = run / "shinka", "programs.sqlite"
    if args.trace:
        return trace(run, results / database)

    # Late, so that a trace needs no ShinkaEvolve.
    from shinka.core import EvolutionConfig, ShinkaEvolveRunner
    from shinka.database import DatabaseConfig
    from shinka.launch import LocalJobConfig

    results.mkdir(parents=True, exist_ok=True)
    initial = results / "initial.py"
    initial.write_text(marked(args.program.read_text(encoding="utf-8")), encoding="utf-8")
    os.environ["EMBERLINE_RUN"] = str(run)
    model = f"local/{args.model}@{args.api_base}"
    runner = ShinkaEvolveRunner(
        evo_config=EvolutionConfig(
            task_sys_msg=TASK,
            num_generations=args.generations,
            llm_models=[model],
            # Neither recommendations nor embeddings: another server would be needed for these.
            meta_rec_interval=None,
            embedding_model=None,
            init_program_path=str(initial),
            results_dir=str(results),
            use_text_feedback=True,
        ),
        job_config=LocalJobConfig(eval_program_path=str(HERE / "evaluate.py")),
        db_config=DatabaseConfig(db_path=database, num_islands=args.islands),
        # One after the other, as our own methods make their attempts.
        max_evaluation_jobs=1,
        max_proposal_jobs=1,
        max_db_workers=1,
    )
    runner.run()
    trace(run, results / database)


if __name__ == "__main__":
    main()
