#!/usr/bin/env bash
# Evaluate on several processes: one per GPU, or on the CPU (gloo) where there is no GPU.
#
#   bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of tools/test.py]
#
# The numbers do not depend on the number of processes, which may exceed that of the videos.
# Several machines: as in dist_train.sh (NNODES, NODE_RANK, MASTER_ADDR, PORT).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

if [ $# -lt 3 ]; then
    echo "usage: bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of tools/test.py]" >&2
    exit 2
fi
CONFIG="$1"
CHECKPOINT="$2"
PROCESSES="$3"
shift 3
launch_torchrun "${PROCESSES}" "${TOOLS}/test.py" "${CONFIG}" "${CHECKPOINT}" --launcher pytorch "$@"
