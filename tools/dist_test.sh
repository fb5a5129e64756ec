#!/usr/bin/env bash
# usage: bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of tools/test.py]
#
# Test with several processes on this machine: one per GPU, or on the CPU (gloo) if there is no GPU. The metrics do not
# depend on the number of processes, which may be larger than the number of videos.
#
# For several machines and MAX_RESTARTS see tools/dist_train.sh. A restarted test starts from the beginning.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

check_arguments 3 "$@"
CONFIG="$1"
CHECKPOINT="$2"
PROCESSES="$3"
shift 3
launch_torchrun "${PROCESSES}" "${TOOLS}/test.py" "${CONFIG}" "${CHECKPOINT}" --launcher pytorch "$@"
