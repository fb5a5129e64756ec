#!/usr/bin/env bash
# Evaluate on a Slurm cluster, one process per GPU.
#
#   GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [...]
#
# SRUN_ARGS holds further arguments of srun.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

if [ $# -lt 4 ]; then
    echo "usage: bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of tools/test.py]" >&2
    exit 2
fi
PARTITION="$1"
JOB_NAME="$2"
CONFIG="$3"
CHECKPOINT="$4"
shift 4
launch_srun "${PARTITION}" "${JOB_NAME}" "${TOOLS}/test.py" "${CONFIG}" "${CHECKPOINT}" --launcher slurm "$@"
