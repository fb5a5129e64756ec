#!/usr/bin/env bash
# Train on several processes: one per GPU, or on the CPU (gloo) where there is no GPU.
#
#   bash tools/dist_train.sh CONFIG PROCESSES [arguments of tools/train.py]
#
# On several machines, run it on each of them with
#   NNODES (how many), NODE_RANK (which, from 0), MASTER_ADDR (of node 0), PORT (free on node 0; default 29500).
# On one machine a free port is found unless PORT is set.
#
# MAX_RESTARTS=3 starts all processes again, up to three times, when one of them dies. It implies --resume: each start
# goes on from the last intact checkpoint. With it, NNODES may be a range (2:4: go on with fewer machines), and jobs
# that share MASTER_ADDR and PORT need a JOB_ID each.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

if [ $# -lt 2 ]; then
    echo "usage: bash tools/dist_train.sh CONFIG PROCESSES [arguments of tools/train.py]" >&2
    exit 2
fi
CONFIG="$1"
PROCESSES="$2"
shift 2
if [ "${MAX_RESTARTS:-0}" != 0 ]; then
    set -- --resume "$@"
fi
launch_torchrun "${PROCESSES}" "${TOOLS}/train.py" "${CONFIG}" --launcher pytorch "$@"
