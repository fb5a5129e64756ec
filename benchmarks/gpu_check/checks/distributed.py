# Copyright (c) The mmvc contributors. All rights reserved.
"""Collectives, SyncBN, and a distributed training step: NCCL on GPUs, gloo without."""

import multiprocessing
import tempfile
from datetime import timedelta
from pathlib import Path

import torch
from mmengine.dist import all_gather_object, all_reduce, broadcast_object_list
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from benchmarks.training import STAGES, build_row, random_clips
from mmvc.models.video_segmentors import TwoPassDistributedDataParallel

from ..models import Model, model_config
from ..recorder import Recorder, Settings, read_result

SECONDS = 60  # that a group of processes may take
#: largest difference between SyncBN and batch norm over the whole batch, relative to the largest value
TOLERANCE = 1e-4


def run(recorder: Recorder, settings: Settings) -> None:
    """Run groups of one and of two processes."""
    if settings.device == 'cuda':
        sizes = [1, 2] if torch.cuda.device_count() > 1 else [1]
        if sizes == [1]:
            recorder.skip('two processes: there is one GPU')
    else:
        sizes = [2]
        recorder.skip('NCCL and SyncBN: need CUDA')
    for size in sizes:
        recorder.attempt(f'{size} process(es)', run_group, recorder, size, settings, seconds=10.)


def run_group(recorder: Recorder, size: int, settings: Settings) -> None:
    """Start processes, wait for them, and take over what the first of them has found."""
    # a process that has used CUDA cannot be forked; without CUDA, a fork saves the imports
    context = multiprocessing.get_context('spawn' if settings.device == 'cuda' else 'fork')
    with tempfile.TemporaryDirectory() as folder:
        processes = [context.Process(target=work, args=(rank, size, folder, settings)) for rank in range(size)]
        for process in processes:
            process.start()
        try:
            for process in processes:
                process.join(min(SECONDS, max(recorder.seconds_left(), 1)))
        finally:
            for process in processes:
                if process.is_alive():
                    process.kill()
                    process.join()
        codes = [process.exitcode for process in processes]
        recorder.require(codes == [0] * size, f'{size} process(es): ended with the codes {codes}')
        for rank in range(size):
            copy_findings(recorder, Path(folder) / f'{rank}.jsonl', rank)


def copy_findings(recorder: Recorder, path: Path, rank: int) -> None:
    """Take over the rows of the first process and the failures of all."""
    found = read_result(path)
    for row in found.rows if found and rank == 0 else ():
        recorder.row(**row)
    for text in found.failures if found else ():
        recorder.fail(f'rank {rank}: {text}')


def work(rank: int, size: int, folder: str, settings: Settings) -> None:
    """The work of one process of a group."""
    recorder = Recorder(Path(folder) / f'{rank}.jsonl', SECONDS)
    backend = 'gloo'
    if settings.device == 'cuda':
        torch.cuda.set_device(rank)
        backend = 'nccl'
    torch.distributed.init_process_group(backend, init_method=f'file://{folder}/rendezvous', rank=rank,
                                         world_size=size, timeout=timedelta(seconds=SECONDS))
    name = f'{backend}, {size} process(es)'
    recorder.attempt('collectives', check_collectives, recorder, name, rank, size, settings)
    if settings.device == 'cuda':
        recorder.attempt('SyncBN', check_sync_bn, recorder, name, rank, size)
    for stage in STAGES:
        recorder.attempt(f'step of the {stage}', check_step, recorder, name, stage, rank, settings)
    torch.distributed.destroy_process_group()


def check_collectives(recorder: Recorder, name: str, rank: int, size: int, settings: Settings) -> None:
    """Sums, gathered objects and objects of rank 0, through the functions that the package uses."""
    value = torch.full((1000, ), rank + 1., device=settings.device)
    all_reduce(value)
    on_cpu = torch.tensor(float(rank == 0))  # as the ranks agree on their passes; moved to the GPU for NCCL
    all_reduce(on_cpu, 'max')
    gathered = all_gather_object(dict(rank=rank))
    shared = ['from rank 0' if rank == 0 else None]
    broadcast_object_list(shared, src=0)
    good = (bool((value == size * (size + 1) / 2).all()) and bool(on_cpu == 1) and shared == ['from rank 0']
            and gathered == [dict(rank=other) for other in range(size)])
    recorder.require(good, f'{name}: collectives gave {float(value[0])}, {float(on_cpu)}, {gathered}, {shared}')
    recorder.row(group=name, what='collectives', result='right' if good else 'wrong')


def check_sync_bn(recorder: Recorder, name: str, rank: int, size: int) -> None:
    """SyncBN over the shares of a batch against batch norm over all of it: output, statistics, gradients."""
    torch.manual_seed(0)
    batch = torch.randn(2 * size, 8, 12, 16, device='cuda') * 3 + 1
    weights = torch.randn_like(batch)
    share = slice(2 * rank, 2 * rank + 2)
    whole, synced = nn.BatchNorm2d(8).cuda(), nn.SyncBatchNorm(8).cuda()
    found = _normalised(synced, batch[share], weights[share])
    expected = _normalised(whole, batch, weights)
    pairs = [(a, b[share] if b.shape == batch.shape else b) for a, b in zip(found, expected)]
    difference = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
    recorder.require(difference <= TOLERANCE, f'{name}: SyncBN differs from batch norm by {difference:.1e}')
    recorder.row(group=name, what='SyncBN', result=f'differs by {difference:.1e} (allowed {TOLERANCE:.0e})')


def _normalised(norm: nn.Module, x: Tensor, weights: Tensor) -> list[Tensor]:
    """Output, gradient of the input, and running statistics of a batch norm after a step."""
    x = x.clone().requires_grad_()
    out = norm(x)
    (out * weights).sum().backward()
    return [out.detach(), x.grad, norm.running_mean, norm.running_var]


def check_step(recorder: Recorder, name: str, stage: str, rank: int, settings: Settings) -> None:
    """Two steps of the distributed model on different clips: finite losses, and the same weights on all ranks."""
    tiny = settings._replace(size='toy')  # communication is the same for models of all sizes
    cfg = model_config(Model('dvispp/dvispp_r50_vspw', stage), tiny)
    row = build_row(stage, cfg, settings.device)
    row.model = TwoPassDistributedDataParallel(
        row.model, device_ids=[rank] if settings.device == 'cuda' else None, broadcast_buffers=False)
    trained = [p for p in row.model.parameters() if p.requires_grad]
    row.optimizer = OptimWrapper(torch.optim.AdamW(trained, lr=1e-3))
    before = [p.detach().clone() for p in trained]
    clips = random_clips(cfg, (64, 96), 2, 2)[rank % 2:rank % 2 + 1]
    torch.manual_seed(rank)
    losses = [float(row.step(clips, 0)['loss']) for _ in range(2)]
    good = [recorder.require(all(loss - loss == 0 for loss in losses), f'{stage}: losses are {losses}'),
            recorder.require(any(not torch.equal(p, old) for p, old in zip(trained, before)),
                             f'{stage}: no weight has changed')]
    sums = all_gather_object([float(p.detach().double().sum()) for p in trained])
    good.append(recorder.require(all(other == sums[0] for other in sums), f'{stage}: ranks have different weights'))
    recorder.row(group=name, what=f'training step, {stage}', result='good' if all(good) else 'bad')
