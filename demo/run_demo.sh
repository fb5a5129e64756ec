#!/usr/bin/env bash
# Copyright (c) The mmvc contributors. All rights reserved.
# The whole method on generated videos: make data, train segmenter (MVC-1), tracker (MVC-2) and refiner (OMA), evaluate,
# and write a video to watch. If it was stopped, run it again: finished stages are skipped, and the stage that was stopped
# continues from its last checkpoint, or starts again if it has none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CONFIG=configs/mvc/dvispp_r18_synthetic.py
WORK_DIR=work_dirs/demo

python tools/dataset_converters/make_synthetic.py data/synthetic --formats vspw --num-train 60 --num-val 8 --num-frames 20
python tools/train.py "$CONFIG" --work-dir "$WORK_DIR" --resume
python tools/test.py "$CONFIG" "$(cat "$WORK_DIR/offline/last_checkpoint")" --work-dir "$WORK_DIR" --show-dir "$WORK_DIR/show"

echo
echo "Numbers of the three stages:  $WORK_DIR/summary.json"
echo "Input, truth and prediction:  $WORK_DIR/show"
