#!/usr/bin/env bash
# usage: bash tools/dist_train.sh CONFIG PROCESSES [arguments of tools/train.py]
#
# Train on several processes of this machine: one per GPU, or on the CPU (gloo) where there is no GPU.
#
# Several machines: the same line on each, with PROCESSES for one machine and
#   NNODES       how many machines
#   NODE_RANK    which of them this is, from 0
#   MASTER_ADDR  address of machine 0
#   PORT         free on machine 0; default: 29500. On one machine a free port is found unless PORT is set.
# for example, of two with eight GPUs each, the first:
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=node0 bash tools/dist_train.sh CONFIG 8
#
# Elastic, with a work dir that all machines share:
#   MAX_RESTARTS=3  start all processes again, up to three times, when one of them dies
#   NNODES=2:4      begin with two to four machines, take in those that come later (not counted as restarts), and with
#                   MAX_RESTARTS go on without those that are lost. Machine 0 must stay.
#   JOB_ID          a name for each of several jobs that share MASTER_ADDR and PORT
#   LOCAL_ADDR      address of this machine, if the others cannot reach it by its host name
# Each of the first two implies --resume: every start goes on from the last intact checkpoint of the work dir, the very
# first one as well. With another number of processes the global batch is another one, and the learning rate stays.
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
