"""Imports, builds, calls, saves, loads, prints, copies, pickles and deletes all programs of a folder under PyTorch, and tells what
an audit hook notices meanwhile. Usage: audit.py FOLDER"""
import collections, contextlib, copy, gc, io, pickle, signal, sys, types, warnings
from pathlib import Path

import torch

H = 16
watching, noticed = None, []
QUIET = ("object.", "code.__new__", "sys._getframe", "marshal.", "pickle.find_class", "gc.", "builtins.id", "cpython.", "signal.",
         "function.__new__", "setopencodehook", "time.sleep", "compile", "exec", "sys.unraisablehook", "sys.excepthook")


def imported_by_torch():
    """Whether an import is under way that torch began: it imports parts of itself, and what they need, late."""
    frame, importing = sys._getframe(2), False
    while frame is not None and frame.f_code.co_filename != watching:
        name = frame.f_globals.get("__name__", "")
        importing |= name.startswith("importlib") or frame.f_code.co_filename.startswith("<frozen importlib")
        if importing and name.split(".")[0] == "torch":
            return True
        frame = frame.f_back
    return False


def hook(event, args):
    if watching is None or event.startswith(QUIET):
        return
    if event == "import" and str(args[0]).split(".")[0] == "torch" or imported_by_torch():
        return
    # a warning looks for the line that caused it
    if event == "open" and str(args[0]) == watching:
        return
    noticed.append(f"{watching}: {event} {args!r:.200}")


def use(source, name):
    module = types.ModuleType("candidate")
    sys.modules["candidate"] = module
    code = compile(source, name, "exec")
    exec(code, module.__dict__)
    processor = module.get_processor_factory(kind="mpnn", use_ln=True, nb_triplet_fts=8, nb_heads=None)(H)
    B, N = 2, 4
    inputs = dict(node_fts=torch.randn(B, N, H), edge_fts=torch.randn(B, N, N, H), graph_fts=torch.randn(B, H),
                  adj_mat=torch.ones(B, N, N), hidden=torch.randn(B, N, H))
    done = collections.Counter()
    steps = dict(call=lambda: processor(**inputs), evaluate=lambda: processor.eval()(**inputs), train=lambda: processor.train(),
                 print=lambda: print(processor, repr(module.PGN)), copy=lambda: copy.deepcopy(processor),
                 shallow=lambda: copy.copy(processor), move=lambda: processor.to("cpu").double().float(),
                 load=lambda: processor.load_state_dict(processor.state_dict()),
                 save=lambda: torch.save(processor.state_dict(), io.BytesIO()),
                 pickle=lambda: pickle.loads(pickle.dumps(processor)),
                 backward=lambda: processor(**inputs)[0].sum().backward(),
                 hints=lambda: [vars(v).get("__annotations__") for v in vars(module).values() if isinstance(v, type)])
    for step, run in steps.items():
        try:
            run()
            done[step] += 1
        except Exception:
            pass
    module.__dict__.clear()
    del processor, module, sys.modules["candidate"]
    return done


def stop(*_):
    raise TimeoutError("too slow")


def main():
    global watching
    sys.addaudithook(hook)
    signal.signal(signal.SIGALRM, stop)
    warnings.simplefilter("always")
    total, failed = collections.Counter(), 0
    programs = sorted(Path(sys.argv[1]).glob("*.py"))
    texts = [(p.name, p.read_text()) for p in programs]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        use(*reversed(texts[0]))
        for name, text in texts:
            signal.alarm(60)
            watching = name
            try:
                total += use(text, name)
            except Exception:
                failed += 1
            gc.collect(0)
            watching = None
            signal.alarm(0)
    print(f"torch {torch.__version__}: {len(texts)} programs, {failed} did not import, {dict(total)}")
    print(f"{len(noticed)} noticed")
    print("\n".join(noticed[:40]))
    sys.exit(bool(noticed))


main()
