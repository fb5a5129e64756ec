#!/usr/bin/env bash
# Copyright (c) The mmvc contributors. All rights reserved.
# Install a wheel with its requirements into an empty environment, and use it from a folder without the source tree:
# generate videos, train a little, and segment.
# usage: bash tests/smoke_test_wheel.sh WHEEL [PYTHON] [TORCH]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
wheel=$(realpath "$1")
python=${2:-python3}
torch=${3:-torch}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
unset PYTHONPATH  # pip takes what it finds there for installed

"$python" -m venv env
env/bin/pip install --quiet "$torch"
env/bin/pip install --quiet "${wheel}[onedl]"
export PATH="$scratch/env/bin:$PATH"

python - "$root" <<'PY'
import sys
from pathlib import Path

import mmvc

folder = Path(mmvc.__file__).parent
assert not folder.is_relative_to(sys.argv[1]), f'{folder} is the source tree, not the wheel'
assert (folder / '.mim' / 'configs' / 'mvc').is_dir() and (folder / '.mim' / 'tools' / 'train.py').is_file()
assert (folder / 'py.typed').is_file()
PY

mmvc --version
mmvc synthetic data/synthetic --formats vspw --num-train 2 --num-val 1 --num-frames 4 --size 96 128
mmvc check mvc/dvispp_r18_synthetic --splits val
mmvc train mvc/dvispp_r18_synthetic --stage segmenter --cfg-options stages.segmenter.train_cfg.max_iters=2 \
    stages.segmenter.train_cfg.val_interval=2 train_dataloader.batch_size=2
mmvc segment "$(find data/synthetic/vspw/data -name origin | sort | head -1)" --weights work_dirs/mvc/dvispp_r18_synthetic/segmenter/iter_2.pth \
    --out-dir out
test -s out/*.mp4
mmvc evaluate --help > /dev/null
mmvc models camvid | grep -q 'weights/ (in a clone only)'  # the list of these weights is installed, the files are not
python env/lib/python3*/site-packages/mmvc/.mim/tools/dataset_converters/make_synthetic.py --help > /dev/null
echo 'smoke test passed'
