#!/usr/bin/env bash
# usage: bash tools/dist_train.sh CONFIG PROCESSES [arguments of tools/train.py]
#
# Train with several processes on this machine: one per GPU, or on the CPU (gloo) if there is no GPU.
#
# On several machines, run the same command on each, with the number of PROCESSES per machine, and set:
#   NNODES       number of machines
#   NODE_RANK    index of this machine, from 0
#   MASTER_ADDR  address of machine 0
#   PORT         a free port of machine 0; default: 29500. On a single machine the default is any free port.
# For example, on the first of two machines with eight GPUs each:
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=node0 bash tools/dist_train.sh CONFIG 8
#
# Elastic training needs a work dir that all machines share. Set:
#   MAX_RESTARTS=3  if a process dies, restart all processes, up to three times
#   NNODES=2:4      start with two to four machines and add machines that join later (this is not a restart). With
#                   MAX_RESTARTS, continue if machines are lost. Machine 0 must stay.
#   JOB_ID          a unique name for each job, if several jobs use the same MASTER_ADDR and PORT
#   LOCAL_ADDR      address of this machine, if the others cannot reach it by its host name
# MAX_RESTARTS and NNODES=MIN:MAX imply --resume: each start, even the first, continues from the last intact checkpoint
# of the work dir. If the number of processes changes, so does the global batch size; the learning rate stays the same.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

check_arguments 2 "$@"
CONFIG="$1"
PROCESSES="$2"
shift 2
if is_elastic; then
    set -- --resume "$@"
fi
launch_torchrun "${PROCESSES}" "${TOOLS}/train.py" "${CONFIG}" --launcher pytorch "$@"
