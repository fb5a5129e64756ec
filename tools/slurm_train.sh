#!/usr/bin/env bash
# Train on a Slurm cluster, one process per GPU.
#
#   GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]
#
# SRUN_ARGS holds further arguments of srun. A job that the cluster may take away and start again (sbatch --requeue)
# wants --resume from the beginning: without a checkpoint it starts anew.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

if [ $# -lt 3 ]; then
    echo "usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py]" >&2
    exit 2
fi
PARTITION="$1"
JOB_NAME="$2"
CONFIG="$3"
shift 3
launch_srun "${PARTITION}" "${JOB_NAME}" "${TOOLS}/train.py" "${CONFIG}" --launcher slurm "$@"
