#!/bin/sh
# Obtains libtorch for the build, once, and puts it behind .libtorch/link (which .cargo/config.toml points to).
#
#   libtorch.sh ROOT          set up ROOT/.libtorch, or say that it is there
#   libtorch.sh ROOT --show   print what is set up, and where from
#
# LIBTORCH=DIR       take DIR (with include/ and lib/) instead of downloading
# CUDA=auto|yes|no   auto: the CUDA libraries (5 GB) come along when this machine has an NVIDIA GPU
#
# What is downloaded is pinned, file by file, in libtorch-cpu.txt and libtorch-cuda.txt beside this script.
set -eu

TORCH=2.11.0
here=$(cd "$(dirname "$0")" && pwd)
root=$1
dest=$root/.libtorch
link=$dest/link
stamp=$dest/stamp
cuda=${CUDA:-auto}

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

if [ "${2:-}" = --show ]; then
    if [ -f "$stamp" ]; then cat "$stamp"; else echo "libtorch: not set up (run: make setup)"; fi
    exit 0
fi

if [ "$cuda" = auto ]; then
    if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then cuda=yes; else cuda=no; fi
fi

if [ -n "${LIBTORCH:-}" ]; then wanted="libtorch: $LIBTORCH (from LIBTORCH)"
else wanted="libtorch: $TORCH from PyPI, cuda=$cuda"; fi
if [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$wanted" ] && [ -e "$link/lib/libtorch_cpu.so" ]; then exit 0; fi

# A LIBTORCH that was given once stays, until another one is given or .libtorch is removed.
if [ -z "${LIBTORCH:-}" ] && grep -q '(from LIBTORCH)$' "$stamp" 2>/dev/null && [ -e "$link/lib/libtorch_cpu.so" ]; then exit 0; fi

mkdir -p "$dest"

# The linker sees a folder without libtorch_cuda.so: it would pull in every CUDA library at link time. The program
# loads that one itself when it wants a GPU. libtorch.so is only a name that torch-sys asks for.
present() {
    lib=$1; include=$2
    rm -f "$stamp"
    rm -rf "$link.new"; mkdir -p "$link.new/lib"
    ln -s "$include" "$link.new/include"
    for f in libtorch_cpu.so libc10.so; do ln -s "$lib/$f" "$link.new/lib/$f"; done
    ln -s "$lib/libtorch_cpu.so" "$link.new/lib/libtorch.so"
    rm -rf "$link"; mv "$link.new" "$link"
}

if [ -n "${LIBTORCH:-}" ]; then
    [ -e "$LIBTORCH/lib/libtorch_cpu.so" ] || die "LIBTORCH=$LIBTORCH has no lib/libtorch_cpu.so; unset it to download $TORCH"
    [ -d "$LIBTORCH/include/torch" ] || die "LIBTORCH=$LIBTORCH has no include/torch"
    # libtorch looks for its CUDA libraries beside itself: a folder of links, such as .libtorch/link of another copy, is followed.
    home=$(dirname "$(dirname "$(readlink -f "$LIBTORCH/lib/libtorch_cpu.so")")")
    [ -d "$home/include/torch" ] || home=$(cd "$LIBTORCH" && pwd)
    version=$(cat "$home/build-version" 2>/dev/null || sed -n "s/^__version__ = '\(.*\)'/\1/p" "$home/version.py" 2>/dev/null || true)
    case "$version" in
        "$TORCH"*) ;;
        "") say "warning: cannot tell the version of $home; $TORCH is needed" ;;
        *) die "LIBTORCH=$LIBTORCH is version $version; $TORCH is needed" ;;
    esac
    present "$home/lib" "$home/include"
else
    command -v python3 >/dev/null || die "python3 with pip is needed to download libtorch (or set LIBTORCH)"
    python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip (Debian: apt-get install python3-pip), or set LIBTORCH"
    rm -f "$stamp"
    arch=$(uname -m)
    wheels=$dest/wheels
    mkdir -p "$wheels"
    # pip matches these names one by one; the wheels of the set use several of them
    platforms="--platform manylinux1_$arch --platform manylinux2014_$arch"
    for glibc in 12 17 18 24 25 26 27 28; do platforms="$platforms --platform manylinux_2_${glibc}_$arch"; done
    if [ "$cuda" = yes ]; then
        say "downloading libtorch $TORCH with its CUDA libraries (about 2.5 GB, 5 GB unpacked)"
        pinned=$here/libtorch-cuda.txt
    else
        say "downloading libtorch $TORCH for the CPU (about 530 MB)"
        pinned=$here/libtorch-cpu.txt
    fi
    log=$dest/pip.log
    if ! python3 -m pip download -q --disable-pip-version-check --no-cache-dir --no-deps --require-hashes \
        --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi none --abi abi3 $platforms \
        -d "$wheels" -r "$pinned" 2> "$log"; then
        cat "$log" >&2
        rm -rf "$wheels"
        if grep -q 'DO NOT MATCH THE HASHES' "$log"; then
            die "a downloaded file is not the one that $pinned pins: nothing was installed. Try again without a mirror or proxy in between, or set LIBTORCH to a libtorch $TORCH that you trust"
        fi
        die "pip could not download what $pinned pins (is the package index reachable?)"
    fi
    rm -f "$log"
    say "unpacking"
    rm -rf "$dest/site"
    python3 - "$wheels" "$dest/site" "$cuda" <<'PY'
import glob, os, sys, zipfile

wheels, site, cuda = sys.argv[1:]
cpu = {"libtorch_cpu.so", "libc10.so"}


def wanted(name):
    if name.endswith("/") or ".." in name.split("/"):
        return False
    if name.startswith("torch/lib/"):
        base = os.path.basename(name)
        return cuda == "yes" and base != "libtorch_python.so" or base in cpu or base.startswith("libgomp")
    if name.startswith("torch/include/") or name == "torch/version.py":
        return True
    return name.startswith("nvidia/") and ".so" in os.path.basename(name)


for wheel in sorted(glob.glob(os.path.join(wheels, "*.whl"))):
    if not os.path.basename(wheel).startswith(("torch-", "nvidia_")):
        continue
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if wanted(name):
                archive.extract(name, site)
PY
    rm -rf "$wheels"
    present "$dest/site/torch/lib" "$dest/site/torch/include"
fi
printf '%s\n' "$wanted" > "$stamp"
say "$wanted, ready"
