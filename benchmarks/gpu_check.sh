#!/usr/bin/env bash
# Copyright (c) The mmvc contributors. All rights reserved.
# Check and measure on a GPU, from a bare checkout: finds or makes an environment, then runs `benchmarks.gpu_check`.
#
#   WHEELS=wheels bash benchmarks/gpu_check.sh [options]     # --help lists them
#
# Environment variables:
#   PYTHON  the Python to use, or to make the environment with; default: .venv, else the first python3
#   WHEELS  folder of wheels, from which missing packages are installed without a network; default: pip's own settings
#   VENV    folder of an environment that is made here if packages are missing; default: .venv-gpu in this checkout
#   TORCH   what to install if there is no torch (default: torch)
#
# A folder of wheels is made on a machine with a network, a system and a Python of the same kind:
#   pip wheel -w wheels -r requirements/mminstall.txt -r requirements/runtime.txt pytest setuptools wheel torch
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${VENV:-$root/.venv-gpu}
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"

say() { echo "gpu_check: $*" >&2; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

# Whether a Python has all packages.
is_complete() {
    "$1" -c '
import sys
from importlib.util import find_spec
names = "torch mmengine mmcv mmdet mmseg scipy pycocotools safetensors prettytable cv2 pytest"
sys.exit(not all(find_spec(name) for name in names.split()))' 2>/dev/null
}

install() { # FOLDER OF THE ENVIRONMENT
    local pip=("$1/bin/python" -m pip install --quiet --disable-pip-version-check)
    if [[ -n ${WHEELS:-} ]]; then
        [[ -d $WHEELS ]] || { say "WHEELS=$WHEELS is no folder: name one that holds wheels"; exit 2; }
        pip+=(--no-index --find-links "$WHEELS")
    fi
    if ! "$1/bin/python" -c 'import torch' 2>/dev/null; then
        say "installing ${TORCH:-torch}"
        "${pip[@]}" "${TORCH:-torch}"
    fi
    say 'installing the other packages'
    "${pip[@]}" -r "$root/requirements/mminstall.txt" -r "$root/requirements/runtime.txt" pytest
    # the headless build replaces the other one, because it needs no system library
    "${pip[@]}" --force-reinstall --no-deps "$(grep '^opencv-python-headless' "$root/requirements/opencv.txt")"
}

python=${PYTHON:-}
if [[ -z $python ]]; then
    for candidate in "$root/.venv/bin/python" "$venv/bin/python" python3 python; do
        command -v "$candidate" >/dev/null && is_new_enough "$candidate" || continue
        python=${python:-$candidate}
        if is_complete "$candidate"; then python=$candidate; break; fi
    done
    [[ -n $python ]] || { say 'no Python 3.10 or newer on the path: install one, or name it with PYTHON=...'; exit 2; }
fi
is_new_enough "$python" || { say "$python is no Python 3.10 or newer: name another one with PYTHON=..."; exit 2; }
for option in "$@"; do
    case $option in -h|--help|--list) exec "$python" -m benchmarks.gpu_check "$@" ;; esac  # needs no package
done
if ! is_complete "$python"; then
    options=()
    if "$python" -c 'import sys, torch; sys.exit(not torch.version.cuda)' 2>/dev/null; then
        options=(--system-site-packages)  # an installed torch that knows CUDA is the right one for the driver
    fi
    say "$python lacks packages: making $venv"
    "$python" -m venv ${options[@]+"${options[@]}"} "$venv"
    install "$venv"
    python=$venv/bin/python
fi
exec "$python" -m benchmarks.gpu_check "$@"
