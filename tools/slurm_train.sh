#!/usr/bin/env bash
# Train on a Slurm cluster, one process per GPU.
#
#   GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]
#
# SRUN_ARGS holds further arguments of srun.
set -euo pipefail
TOOLS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

if [ $# -lt 3 ]; then
    echo "usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py]" >&2
    exit 2
fi
PARTITION="$1"
JOB_NAME="$2"
CONFIG="$3"
shift 3
GPUS="${GPUS:-8}"
GPUS_PER_NODE="${GPUS_PER_NODE:-$((GPUS < 8 ? GPUS : 8))}"

# the environment that `make` creates, unless another one is active
if [ -z "${PYTHON:-}" ]; then
    if [ -z "${VIRTUAL_ENV:-}" ] && [ -x "${TOOLS}/../.venv/bin/python" ]; then
        PYTHON="${TOOLS}/../.venv/bin/python"
    else
        PYTHON=python
    fi
fi

# shellcheck disable=SC2086  # SRUN_ARGS is a list of words
PYTHONPATH="${TOOLS}/..:${PYTHONPATH:-}" exec srun \
    --partition "${PARTITION}" --job-name "${JOB_NAME}" \
    --ntasks "${GPUS}" --ntasks-per-node "${GPUS_PER_NODE}" --gres "gpu:${GPUS_PER_NODE}" \
    --cpus-per-task "${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "${PYTHON}" -u "${TOOLS}/train.py" "${CONFIG}" --launcher slurm "$@"
