# What the dist_*.sh and slurm_*.sh have in common; they source it.

TOOLS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="${TOOLS}/..:${PYTHONPATH:-}"

# the environment that `make` creates, unless another one is active
if [ -z "${PYTHON:-}" ]; then
    if [ -z "${VIRTUAL_ENV:-}" ] && [ -x "${TOOLS}/../.venv/bin/python" ]; then
        PYTHON="${TOOLS}/../.venv/bin/python"
    else
        PYTHON=python
    fi
fi

# launch_torchrun PROCESSES SCRIPT [ARGUMENTS]: one process per GPU of this machine, as part of a group of all machines
launch_torchrun() {
    local processes="$1" rendezvous
    shift
    if [ "${NNODES:-1}" = 1 ] && [ -z "${PORT:-}" ]; then
        rendezvous=(--standalone)
    elif [ "${MAX_RESTARTS:-0}" = 0 ]; then
        rendezvous=(--nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}"
                    --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}")
    else  # machines that have to find each other again after a failure; ranks may change then
        rendezvous=(--nnodes "${NNODES:-1}" --rdzv-backend c10d --rdzv-id "${JOB_ID:-mmvc}"
                    --rdzv-endpoint "${MASTER_ADDR:-127.0.0.1}:${PORT:-29500}"
                    --rdzv-conf "is_host=$([ "${NODE_RANK:-0}" = 0 ] && echo 1 || echo 0)")
    fi
    # a store of their own for every start: in a shared one they may find the addresses of processes that have died
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    exec "${PYTHON}" -m torch.distributed.run "${rendezvous[@]}" --nproc-per-node "${processes}" \
        --max-restarts "${MAX_RESTARTS:-0}" --monitor-interval 1 "$@"
}

# launch_srun PARTITION JOB_NAME SCRIPT [ARGUMENTS]: one process per GPU; a process that fails ends the others
launch_srun() {
    local partition="$1" job_name="$2" gpus="${GPUS:-8}"
    local gpus_per_node="${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}"
    shift 2
    # shellcheck disable=SC2086  # SRUN_ARGS is a list of words
    exec srun --partition "${partition}" --job-name "${job_name}" \
        --ntasks "${gpus}" --ntasks-per-node "${gpus_per_node}" --gres "gpu:${gpus_per_node}" \
        --cpus-per-task "${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} "${PYTHON}" -u "$@"
}
