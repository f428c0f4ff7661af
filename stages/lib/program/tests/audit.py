"""Imports, builds, calls, saves, loads, prints, copies, pickles and deletes all programs of a folder under PyTorch, and tells what
an audit hook notices meanwhile. Usage: audit.py FOLDER"""
import collections, contextlib, copy, gc, io, pickle, signal, sys, types, warnings
from pathlib import Path

import torch

H = 16
watching, compiled, noticed = None, False, []
QUIET = ("object.", "code.__new__", "sys._getframe", "marshal.", "pickle.find_class", "gc.", "builtins.id", "cpython.", "signal.",
         "function.__new__", "setopencodehook", "time.sleep", "compile", "exec", "sys.unraisablehook", "sys.excepthook")


# What a program may import by the language's page, and PyTorch has not imported yet.
LANGUAGE = {"einops", "typing_extensions", "flash_attn", "xformers", "apex"}
TORCH = str(Path(torch.__file__).parent) + "/"


def root(name):
    return str(name).split(".")[0]


def promised(event):
    """Whether what happens is promised to happen: PyTorch, or a module of the language, imports parts of itself; the compiler runs
    that `@torch.compile` asks for; a warning looks for the line of PyTorch that caused it."""
    frame, importing = sys._getframe(2), event == "import"
    while frame is not None and frame.f_code.co_filename != watching:
        name = frame.f_globals.get("__name__", "")
        importing |= name.startswith("importlib") or frame.f_code.co_filename.startswith("<frozen importlib")
        if importing and root(name) == "torch":
            return True
        if frame.f_code.co_name == "_find_and_load" and root(frame.f_locals.get("name")) in LANGUAGE:
            return True
        if compiled and name.startswith(("torch._dynamo", "torch._inductor")):
            return True
        frame = frame.f_back
    return False


def hook(event, args):
    if watching is None or event.startswith(QUIET):
        return
    if event == "import" and root(args[0]) in LANGUAGE | {"torch"} or promised(event):
        return
    if event == "open" and (str(args[0]) == watching or sys._getframe(1).f_globals.get("__name__") in ("linecache", "tokenize")
                            and str(args[0]).startswith(TORCH) and args[1] in ("r", "rb")):
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
    global watching, compiled
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
            watching, compiled = name, "@torch.compile" in text
            try:
                total += use(text, name)
            except Exception:
                failed += 1
            gc.collect(0)
            watching, compiled = None, False
            signal.alarm(0)
    print(f"torch {torch.__version__}: {len(texts)} programs, {failed} did not import, {dict(total)}")
    print(f"{len(noticed)} noticed")
    print("\n".join(noticed[:40]))
    sys.exit(bool(noticed))


main()
