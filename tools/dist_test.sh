#!/usr/bin/env bash
# usage: bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of tools/test.py]
#
# Evaluate on several processes of this machine: one per GPU, or on the CPU (gloo) where there is no GPU. The numbers do
# not depend on the number of processes, which may exceed that of the videos.
#
# Several machines, and MAX_RESTARTS: as in tools/dist_train.sh. A test that is started again begins anew.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

check_arguments 3 "$@"
CONFIG="$1"
CHECKPOINT="$2"
PROCESSES="$3"
shift 3
launch_torchrun "${PROCESSES}" "${TOOLS}/test.py" "${CONFIG}" "${CHECKPOINT}" --launcher pytorch "$@"
