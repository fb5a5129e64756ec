#!/usr/bin/env bash
# usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py]
#
# Train on a Slurm cluster with srun, one process per GPU. Variables:
#   GPUS           number of GPUs on all machines together; default: 8
#   GPUS_PER_NODE  GPUs per machine; default: 8, or GPUS if that is smaller
#   CPUS_PER_TASK  CPU cores per process; default: 5
#   SRUN_ARGS      further arguments of srun, e.g. SRUN_ARGS='--time 24:00:00 --account mine'
#   MASTER_ADDR    address where the processes meet; default: the first machine of the job
#   MASTER_PORT    port; default: 20000 to 29999, computed from the job id. Two trainings in a job need two ports.
# For example, on two machines with eight GPUs each:
#   GPUS=16 bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG
#
# If a process fails, the job ends and is not restarted. If the cluster may requeue the job (sbatch --requeue), add
# --resume from the start: without a checkpoint, training starts from scratch.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

check_arguments 3 "$@"
PARTITION="$1"
JOB_NAME="$2"
CONFIG="$3"
shift 3
launch_srun "${PARTITION}" "${JOB_NAME}" "${TOOLS}/train.py" "${CONFIG}" --launcher slurm "$@"
