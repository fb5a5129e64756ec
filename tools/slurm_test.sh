#!/usr/bin/env bash
# usage: bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of tools/test.py]
#
# Evaluate on a Slurm cluster, one process per GPU, by srun. The numbers do not depend on the number of processes, which
# may exceed that of the videos. Variables (GPUS, ...): as for tools/slurm_train.sh.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

check_arguments 4 "$@"
PARTITION="$1"
JOB_NAME="$2"
CONFIG="$3"
CHECKPOINT="$4"
shift 4
launch_srun "${PARTITION}" "${JOB_NAME}" "${TOOLS}/test.py" "${CONFIG}" "${CHECKPOINT}" --launcher slurm "$@"
