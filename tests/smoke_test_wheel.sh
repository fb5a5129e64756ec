#!/usr/bin/env bash
# Copyright (c) The mmvc contributors. All rights reserved.
# Install a wheel next to the dependencies of .venv, in a folder without the source tree, and use it from there.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
wheel=$(realpath "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

"$root/.venv/bin/python" -m venv env
# the dependencies of .venv, without its editable mmvc
"$root/.venv/bin/python" - > env/lib/dependencies.pth <<'PY'
import site
print(site.getsitepackages()[0])
PY
mv env/lib/dependencies.pth env/lib/python3*/site-packages/
env/bin/pip install --quiet --no-deps --ignore-installed "$wheel"

env/bin/python - "$root" <<'PY'
import sys
from pathlib import Path

import mmvc
from mmengine.registry import init_default_scope

folder = Path(mmvc.__file__).parent
assert not folder.is_relative_to(sys.argv[1]), f'{folder} is the source tree, not the wheel'
assert (folder / '.mim' / 'configs' / 'mvc').is_dir() and (folder / '.mim' / 'tools' / 'train.py').is_file()
assert (folder / 'py.typed').is_file()

from mmengine.config import Config

from mmvc.registry import MODELS

init_default_scope('mmvc')
config = Config.fromfile(folder / '.mim' / 'configs' / 'mvc' / 'dvispp_r18_synthetic.py')
model = MODELS.build(config.model)
print('wheel', mmvc.__version__, 'builds', type(model).__name__, 'with', sum(p.numel() for p in model.parameters()),
      'parameters')
PY

tools=$(echo env/lib/python3*/site-packages/mmvc/.mim/tools)
env/bin/python "$tools/dataset_converters/make_synthetic.py" --help > /dev/null
env/bin/python "$tools/evaluate.py" --help > /dev/null
env/bin/python -m mmvc.apis --help > /dev/null
echo 'smoke test passed'
