#!/usr/bin/env bash
# Train on several processes: one per GPU, or on the CPU (gloo) where there is no GPU.
#
#   bash tools/dist_train.sh CONFIG PROCESSES [arguments of tools/train.py]
#
# On several machines, run it on each of them with
#   NNODES (how many), NODE_RANK (which, from 0), MASTER_ADDR (of node 0), PORT (free on node 0; default 29500).
# On one machine a free port is found unless PORT is set.
set -euo pipefail
TOOLS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

if [ $# -lt 2 ]; then
    echo "usage: bash tools/dist_train.sh CONFIG PROCESSES [arguments of tools/train.py]" >&2
    exit 2
fi
CONFIG="$1"
PROCESSES="$2"
shift 2

# the environment that `make` creates, unless another one is active
if [ -z "${PYTHON:-}" ]; then
    if [ -z "${VIRTUAL_ENV:-}" ] && [ -x "${TOOLS}/../.venv/bin/python" ]; then
        PYTHON="${TOOLS}/../.venv/bin/python"
    else
        PYTHON=python
    fi
fi

if [ "${NNODES:-1}" = 1 ] && [ -z "${PORT:-}" ]; then
    RENDEZVOUS=(--standalone)
else
    RENDEZVOUS=(--nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}"
                --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}")
fi

PYTHONPATH="${TOOLS}/..:${PYTHONPATH:-}" exec "${PYTHON}" -m torch.distributed.run \
    "${RENDEZVOUS[@]}" --nproc-per-node "${PROCESSES}" \
    "${TOOLS}/train.py" "${CONFIG}" --launcher pytorch "$@"
