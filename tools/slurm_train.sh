#!/usr/bin/env bash
# usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py]
#
# Train on a Slurm cluster, one process per GPU, by srun. Variables:
#   GPUS           of all machines together; default: 8
#   GPUS_PER_NODE  default: 8, or GPUS where these are fewer
#   CPUS_PER_TASK  cores per process; default: 5
#   SRUN_ARGS      further arguments of srun, e.g. SRUN_ARGS='--time 24:00:00 --account mine'
#   MASTER_ADDR    where the processes meet; default: the first machine of the job
#   MASTER_PORT    default: 20000 to 29999, from the number of the job; for two trainings in one job, one each
# for example, on two machines with eight GPUs each:
#   GPUS=16 bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG
#
# A process that fails ends the job; nothing starts it again. A job that the cluster may take away and start anew
# (sbatch --requeue) wants --resume from the beginning: without a checkpoint it starts from scratch.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

check_arguments 3 "$@"
PARTITION="$1"
JOB_NAME="$2"
CONFIG="$3"
shift 3
launch_srun "${PARTITION}" "${JOB_NAME}" "${TOOLS}/train.py" "${CONFIG}" --launcher slurm "$@"
