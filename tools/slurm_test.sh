#!/usr/bin/env bash
# usage: bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of tools/test.py]
#
# Test on a Slurm cluster with srun, one process per GPU. The metrics do not depend on the number of processes, which
# may be larger than the number of videos. For the variables (GPUS, ...) see tools/slurm_train.sh.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

check_arguments 4 "$@"
PARTITION="$1"
JOB_NAME="$2"
CONFIG="$3"
CHECKPOINT="$4"
shift 4
launch_srun "${PARTITION}" "${JOB_NAME}" "${TOOLS}/test.py" "${CONFIG}" "${CHECKPOINT}" --launcher slurm "$@"
