"""What all bridges share: a program is judged by this project's stages, and a line is noted for each.

The program is never executed: `check` understands it as a graph of tensor operations or refuses it, and what it accepts is
trained and scored in processes of their own. Whatever becomes of a program is a row, whose words can go into the next prompt.

Environment:
    EMBERLINE_BIN     folder of the stages' binaries           [target/release of this repository]
    EMBERLINE_CONFIG  settings, a TOML file                    [data/profiles/quick.toml]
    EMBERLINE_CACHE   results of trainings                     [cache of this repository]
    EMBERLINE_RUN     folder in which each evaluation is noted, for `propose --import`
"""

import fcntl
import json
import os
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("EMBERLINE_BIN", ROOT / "target" / "release"))
CONFIG = os.environ.get("EMBERLINE_CONFIG", str(ROOT / "data" / "profiles" / "quick.toml"))
CACHE = os.environ.get("EMBERLINE_CACHE", str(ROOT / "cache"))
# What `propose --import` reads in a run's folder.
EVALUATED, TRACE = "evaluated.jsonl", "evolution_trace.jsonl"


def folder():
    """The folder of the run."""
    if "EMBERLINE_RUN" not in os.environ:
        raise SystemExit("error: EMBERLINE_RUN must name the folder in which evaluations are noted")
    return Path(os.environ["EMBERLINE_RUN"])


def stage(name, source, target, *options):
    """Runs one stage from a file to a file of JSON lines."""
    command = [str(BIN / name), "--config", CONFIG, "--quiet", *options, "-o", str(target), str(source)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    # `check` says by its exit code, too, that a program is refused: its row is there all the same.
    if done.returncode != 0 and not (name == "check" and done.returncode == 1 and target.exists()):
        raise RuntimeError(f"{name} failed: {done.stderr.strip() or done.stdout.strip()}")


def append(path, row):
    """Appends a line of JSON, whole or not at all, whoever else writes at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # What a killed process left of a line ends there.
        if file.tell() and not path.read_bytes().endswith(b"\n"):
            file.write("\n")
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def judge(program):
    """The row of a program (bytes), noted in the run: checked, and where it is accepted trained and scored."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        source = scratch / "program.py"
        source.write_bytes(program)
        checked, trained, scored = (scratch / f"{name}.jsonl" for name in ("checked", "trained", "scored"))
        stage("check", source, checked)
        row = json.loads(checked.read_text(encoding="utf-8"))
        if row["status"] != "rejected":
            stage("train", checked, trained, "--cache", CACHE)
            stage("score", trained, scored, "--cache", CACHE)
            row = json.loads(scored.read_text(encoding="utf-8"))
    append(folder() / EVALUATED, row)
    return row


def metrics(row):
    """Numbers of a row; `combined_score` is the accuracy on larger graphs, 0 where there is none."""
    numbers = {"combined_score": row.get("fitness") or 0.0, "valid": 0.0 if row["status"] == "rejected" else 1.0}
    numbers.update({name: float(row[name]) for name in ("ood_acc", "params", "macs") if row.get(name) is not None})
    return numbers


def words(row):
    """What became of a program, in the words of the stages."""
    said = {"status": row["status"]}
    for name in ("reason", "diagnostics"):
        if row.get(name):
            said[name] = row[name] if isinstance(row[name], str) else json.dumps(row[name])[:4000]
    return said
