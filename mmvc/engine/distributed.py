# Copyright (c) The mmvc contributors. All rights reserved.
"""Training and testing with several processes, with or without GPUs."""

import datetime
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
from mmengine.config import Config
from mmengine.dist import broadcast_object_list, get_rank, init_dist, is_distributed
from mmengine.logging import print_log
from mmengine.utils.dl_utils import set_multi_processing

from mmvc.utils.children import die_with_parent
from mmvc.utils.errors import UsageError
from mmvc.utils.folder_lock import hold_folders
from mmvc.utils.typing import PathLike
from mmvc.zoo import resolve_checkpoint

from .rank_comparison import require_same_settings

SECONDS_FOR_LAUNCHER = 5  # within which a launcher ends the other processes, once rank 0 has failed
SECONDS_FOR_OTHER_RANK = 30  # within which the rank that failed first has ended, and the launcher has noticed it
T = TypeVar('T')
_LOST_PEER = re.compile(r'gloo/transport|Connection (reset|closed) by peer|Broken pipe|NCCL|Socket Timeout', re.I)


def setup_distributed(launcher: str, cfg: Config) -> None:
    """Create the process group before a runner is built: NCCL on GPUs, gloo without GPUs.

    mmengine's own initialiser selects a GPU for each process and so fails without GPUs. The process ends with torchrun
    from here on, even if that is killed.

    Args:
        launcher (str): ``none`` (does nothing), ``pytorch`` (torchrun) or ``slurm`` (srun).
        cfg (Config): Config whose ``env_cfg`` (``mp_cfg``, ``dist_cfg``) is used.

    Raises:
        UsageError: The launcher's environment variables are missing, there are more processes than GPUs, or the
            ranks have different settings, see :func:`require_same_settings`.
    """
    if launcher == 'none' or is_distributed():
        return
    if launcher == 'pytorch':  # srun ends its processes itself
        die_with_parent()
    _init_process_group(launcher, cfg)
    require_same_settings(cfg)


def _init_process_group(launcher: str, cfg: Config) -> None:
    needed = dict(pytorch=('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'),
                  slurm=('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'))[launcher]
    missing = [name for name in needed if name not in os.environ]
    if missing:
        script = 'tools/dist_train.sh' if launcher == 'pytorch' else 'tools/slurm_train.sh'
        raise UsageError(f'--launcher {launcher} needs the environment variables {", ".join(missing)}: '
                         f'start it with {script}')
    env_cfg = cfg.get('env_cfg', {})
    dist_cfg = dict(env_cfg.get('dist_cfg', {}))
    set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
    if launcher == 'slurm':  # each job needs its own port, because jobs may share a machine
        own_port = 20000 + int(os.environ.get('SLURM_JOB_ID', 0)) % 10000
        os.environ['MASTER_PORT'] = str(dist_cfg.get('port') or os.environ.get('MASTER_PORT', own_port))
    if torch.cuda.is_available():
        if launcher == 'pytorch':
            _require_gpu(int(os.environ['LOCAL_RANK']), torch.cuda.device_count())
        init_dist(launcher, **dist_cfg)
        return
    if launcher == 'slurm':
        _export_slurm_rank()
    torch.distributed.init_process_group('gloo', timeout=datetime.timedelta(seconds=dist_cfg.get('timeout', 1800)))


def wrap_for_cpu(cfg: Config) -> None:
    """Prepare the config of a distributed run without GPUs.

    mmengine passes a GPU index to the model wrapper by default, which torch rejects for a model on the CPU.
    Synchronised batch norm exists on GPUs only, so each process keeps to its own statistics.

    Args:
        cfg (Config): Gets a ``model_wrapper_cfg`` that keeps ``find_unused_parameters``, and loses ``sync_bn``.
            Changed in place.
    """
    if cfg.get('launcher', 'none') == 'none' or torch.cuda.is_available():
        return
    wrapper = dict(type='MMDistributedDataParallel', broadcast_buffers=False,
                   find_unused_parameters=cfg.get('find_unused_parameters', False))
    wrapper.update(cfg.get('model_wrapper_cfg') or {})
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)
    if cfg.get('sync_bn') is not None:
        print_log(f'sync_bn={cfg.sync_bn!r} needs GPUs: each process normalises with the statistics of its own clips',
                  logger='current', level=logging.WARNING)
        cfg.sync_bn = None


def on_main_process(function: Callable[[], T]) -> T:
    """Run a function on rank 0 and return its result, or raise its :class:`UsageError`, on every rank.

    Use it for decisions that depend on files: another rank might look while rank 0 already writes.

    Args:
        function (Callable): Function without arguments and with a picklable result.

    Returns:
        The result.

    Raises:
        UsageError: Rank 0 raised one.
    """
    result, error = None, None
    if get_rank() == 0:
        try:
            result = function()
        except UsageError as caught:
            error = str(caught)
    shared: list[Any] = [result, error]
    broadcast_object_list(shared, src=0)
    if shared[1] is not None:
        raise UsageError(shared[1])
    return shared[0]


def local_checkpoint(name: PathLike, option: str = '--cfg-options load_from=') -> str:
    """Find a checkpoint on every rank, see :func:`mmvc.zoo.resolve_checkpoint`. Rank 0 downloads, the others wait.

    Ranks of a machine that does not share the cache of rank 0 download the file once more.

    Args:
        name (str | Path): Path, name of published weights, or address.
        option (str): How the user gives the name, for messages.

    Returns:
        str: Path on this machine.

    Raises:
        UsageError: There is none, or it cannot be downloaded.
    """
    on_main_process(lambda: resolve_checkpoint(name, option))
    return resolve_checkpoint(name, option)


@contextmanager
def hold_on_main_process(folders: Iterable[PathLike | None]) -> Iterator[None]:
    """Lock folders for all processes of a job while the block runs: rank 0 takes the locks.

    A rank 0 that a launcher has just replaced gets some seconds to end.

    Args:
        folders (Iterable[str | Path | None]): The folders, see :func:`mmvc.utils.folder_lock.hold_folders`.

    Raises:
        UsageError: Another job holds one of the folders.
    """
    with ExitStack() as stack:
        on_main_process(lambda: stack.enter_context(hold_folders(folders)))
        yield


def exit_with_message(message: str) -> NoReturn:
    """End this process with an error message and without a traceback.

    An error that all processes meet is printed once: rank 0 prints it and exits, and the launcher ends the others
    while they wait. If rank 0 has no error, another rank prints its own after the wait.

    Args:
        message (str): The error message.

    Raises:
        SystemExit: Always, with a non-zero exit status.
    """
    rank, local_rank = _own_ranks()
    if rank == 0:
        _leave(f'error: {message}')
    time.sleep(SECONDS_FOR_LAUNCHER * (1 + (local_rank > 0)))  # on a machine without rank 0, local rank 0 prints it
    _leave(f'error on rank {rank}: {message}')


def exit_without_peer(error: Exception) -> NoReturn:
    """End this process because another rank has gone, whose own message tells why.

    It waits until the launcher has noticed that one, so that torchrun ends with that message and not with this one.

    Args:
        error (Exception): What the lost connection raised here.

    Raises:
        SystemExit: Always, with a non-zero exit status.
    """
    time.sleep(SECONDS_FOR_OTHER_RANK)
    lines = str(error).splitlines() or [type(error).__name__]
    sys.exit(f'error on rank {_own_ranks()[0]}: the connection to another rank is lost ({lines[0]}). Look for the '
             'message of the rank that ended first')


def is_lost_peer(error: BaseException) -> bool:
    """Whether an error says that another rank has gone, or no longer answers.

    Args:
        error (BaseException): Any error.
    """
    if not is_distributed():
        return False
    return isinstance(error, (torch.distributed.DistBackendError, torch.distributed.DistNetworkError)) or (
        isinstance(error, RuntimeError) and _LOST_PEER.search(str(error)) is not None)


def _own_ranks() -> tuple[int, int]:
    """Rank of this process among all, and among those of this machine; known before there is a process group."""
    names = ('RANK', 'LOCAL_RANK') if 'RANK' in os.environ else ('SLURM_PROCID', 'SLURM_LOCALID')
    rank, local_rank = (int(os.environ.get(name, 0)) for name in names)
    return rank, local_rank


def _leave(message: str) -> NoReturn:
    """Print a message and end; torchrun, which prints much after it, repeats the message at its end."""
    path = os.environ.get('TORCHELASTIC_ERROR_FILE')
    if path is not None:
        content = dict(message=message.removeprefix('error: '), extraInfo=dict(timestamp=str(int(time.time()))))
        try:
            Path(path).write_text(json.dumps(dict(message=content)), encoding='utf-8')
        except OSError:
            pass  # the message is printed anyway
    sys.exit(message)


def _require_gpu(local_rank: int, num_gpus: int) -> None:
    """Raise an error if there is no GPU for a process; CUDA's own error gives only a number."""
    if local_rank >= num_gpus:
        visible = os.environ.get('CUDA_VISIBLE_DEVICES')
        reason = '' if visible is None else f' (CUDA_VISIBLE_DEVICES={visible})'
        raise UsageError(f'process {local_rank} of this machine has no GPU, since {num_gpus} are visible{reason}: '
                         f'start {num_gpus} processes, e.g. tools/dist_train.sh CONFIG {num_gpus}')


def _export_slurm_rank() -> None:
    """Set the environment variables that torch reads from those that Slurm sets."""
    os.environ['RANK'] = os.environ['SLURM_PROCID']
    os.environ['WORLD_SIZE'] = os.environ['SLURM_NTASKS']
    os.environ['LOCAL_RANK'] = os.environ.get('SLURM_LOCALID', '0')
    if 'MASTER_ADDR' not in os.environ:
        hosts = subprocess.run(['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']],
                               check=True, capture_output=True, text=True).stdout.split()
        os.environ['MASTER_ADDR'] = hosts[0]
