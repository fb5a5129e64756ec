#!/usr/bin/env bash
# Evaluate on several processes: one per GPU, or on the CPU (gloo) where there is no GPU.
#
#   bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of tools/test.py]
#
# Several machines: as in dist_train.sh (NNODES, NODE_RANK, MASTER_ADDR, PORT).
set -euo pipefail
TOOLS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

if [ $# -lt 3 ]; then
    echo "usage: bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of tools/test.py]" >&2
    exit 2
fi
CONFIG="$1"
CHECKPOINT="$2"
PROCESSES="$3"
shift 3

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
    "${TOOLS}/test.py" "${CONFIG}" "${CHECKPOINT}" --launcher pytorch "$@"
