# Functions of the scripts dist_*.sh and slurm_*.sh, which source this file.

TOOLS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="${TOOLS}/..:${PYTHONPATH:-}"

# use the environment that `make` creates, unless another one is active
if [ -z "${PYTHON:-}" ]; then
    if [ -z "${VIRTUAL_ENV:-}" ] && [ -x "${TOOLS}/../.venv/bin/python" ]; then
        PYTHON="${TOOLS}/../.venv/bin/python"
    else
        PYTHON=python
    fi
fi

# print the comment at the top of the calling script
print_help() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# check_arguments COUNT [ARGUMENTS]: print the help and exit, if it is requested or arguments are missing
check_arguments() {
    local count="$1"
    shift
    case "${1:-}" in -h | --help) print_help && exit 0 ;; esac
    [ $# -ge "${count}" ] || { print_help >&2 && exit 2; }
}

refuse() { echo "error: $1" >&2 && exit 2; }

# succeeds if processes are restarted when one dies or the number of machines changes
is_elastic() { [ "${MAX_RESTARTS:-0}" != 0 ] || [[ "${NNODES:-1}" == *:* ]]; }

# launch_torchrun PROCESSES SCRIPT [ARGUMENTS]: start PROCESSES on this machine, in one process group with all machines
launch_torchrun() {
    local processes="$1" rendezvous
    shift
    [[ "${processes}" =~ ^[1-9][0-9]*$ ]] || refuse "PROCESSES must be a number, found \"${processes}\""
    if [ "${NNODES:-1}" != 1 ] && { [ -z "${NODE_RANK:-}" ] || [ -z "${MASTER_ADDR:-}" ]; }; then
        refuse "NNODES=${NNODES} needs NODE_RANK and MASTER_ADDR: see bash $0 --help"
    fi
    if [ "${NNODES:-1}" = 1 ] && [ -z "${PORT:-}" ]; then
        rendezvous=(--standalone)
    elif is_elastic; then  # machines must find each other again after a failure, and ranks may change
        rendezvous=(--nnodes "${NNODES:-1}" --rdzv-backend c10d --rdzv-id "${JOB_ID:-mmvc}"
                    --rdzv-endpoint "${MASTER_ADDR:-127.0.0.1}:${PORT:-29500}"
                    --rdzv-conf "is_host=$([ "${NODE_RANK:-0}" = 0 ] && echo 1 || echo 0)")
        [ -z "${LOCAL_ADDR:-}" ] || rendezvous+=(--local-addr "${LOCAL_ADDR}")
    else
        rendezvous=(--nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}"
                    --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}")
    fi
    # use a new store for every start: a shared one may still contain the addresses of dead processes
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    # the processes share the cores; torchrun would give each of them a single thread
    if [ -z "${OMP_NUM_THREADS:-}" ]; then
        OMP_NUM_THREADS="$("${PYTHON}" -c "from mmvc.utils.threads import threads_per_process as share
print(share(${processes}))")"
        export OMP_NUM_THREADS
    fi
    export MKL_NUM_THREADS="${MKL_NUM_THREADS:-${OMP_NUM_THREADS}}"  # mmengine would set 1
    exec "${PYTHON}" -m torch.distributed.run "${rendezvous[@]}" --nproc-per-node "${processes}" \
        --max-restarts "${MAX_RESTARTS:-0}" --monitor-interval 1 "$@"
}

# launch_srun PARTITION JOB_NAME SCRIPT [ARGUMENTS]: start one process per GPU; if one fails, the others are ended
launch_srun() {
    local partition="$1" job_name="$2" gpus="${GPUS:-8}"
    local gpus_per_node="${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}"
    shift 2
    # shellcheck disable=SC2086  # SRUN_ARGS is a list of words
    exec srun --partition "${partition}" --job-name "${job_name}" \
        --ntasks "${gpus}" --ntasks-per-node "${gpus_per_node}" --gres "gpu:${gpus_per_node}" \
        --cpus-per-task "${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} "${PYTHON}" -u "$@"
}
