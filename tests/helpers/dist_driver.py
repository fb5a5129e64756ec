# Copyright (c) The mmvc contributors. All rights reserved.
"""Runs groups of processes over gloo and writes what they found to a file, for the tests to look at.

Usage: python -m tests.helpers.dist_driver OUT.pt JOB [JOB ...]

Jobs are the functions below, each with the sizes of its groups. All processes are forks of this one, so that the
imports, which take longer than the rest, are paid once.
"""

import contextlib
import datetime
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from mmvc.engine import build_runner, load_config
from mmvc.engine.hooks import ActivationCheckpointHook, CheckWeightsHook
from mmvc.models.video_segmentors import TwoPassDistributedDataParallel
from tests.helpers import tiny_encoder_only, tiny_models, tiny_vss
from tests.helpers.masked_clips import mask_clips

NUM_CLIPS = 4


def clips(step: int, num_frames: int = 3) -> dict:
    """The global batch of a step: clips with three, two, one and no objects; in step 1 no objects at all."""
    torch.manual_seed(step)
    batch = tiny_models.make_batch(NUM_CLIPS, num_frames, (40, 56))
    for number, sample in enumerate(batch['data_samples']):
        for frame in sample:
            frame.gt_instances = frame.gt_instances[frame.gt_instances.instances_ids < (step != 1) * (3 - number)]
    return batch


def share(batch: dict) -> dict:
    """The clips of this process, as ``InfiniteSampler`` deals them out."""
    part = slice(get_rank(), None, get_world_size())
    return dict(inputs=batch['inputs'][part], data_samples=batch['data_samples'][part])


def train(stage: str) -> dict:
    """Three steps of a stage: guided, without any object, and in the second half."""
    torch.rand = tiny_models.repeatable_rand
    torch.manual_seed(0)
    model = tiny_models.randomize_constants(tiny_models.build_model(stage)).train()
    initial = {name: value.clone() for name, value in model.state_dict().items()}
    ddp = MMDistributedDataParallel(model, find_unused_parameters=False, broadcast_buffers=False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = OptimWrapper(torch.optim.SGD(trained, lr=1e-3))
    hub, losses = MessageHub.get_current_instance(), []
    for step, iteration in enumerate((0, 1, 9)):
        hub.update_info('iter', iteration)
        hub.update_info('max_iters', 10)
        log = ddp.train_step(share(clips(step)), optimizer)
        parts = all_gather_object({name: value.item() for name, value in log.items()})
        losses.append({name: float(np.mean([part[name] for part in parts])) for name in log})
    states = all_gather_object({name: value.double().sum().item() for name, value in model.state_dict().items()})
    assert all(state == states[0] for state in states), 'the processes have drifted apart'
    return dict(losses=losses, moved={name: (value - initial[name]).double()
                                      for name, value in model.state_dict().items()})


def chunked(config: dict, wrapper: type[MMDistributedDataParallel], mask: bool) -> dict:
    """Two steps in chunks, the last of which has one frame: how far the weights have moved."""
    torch.rand = tiny_models.repeatable_rand
    torch.manual_seed(0)
    model = tiny_encoder_only.build_model(config).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.eval()  # the statistics of a process are those of its own clips
    initial = {name: value.clone() for name, value in model.state_dict().items()}
    ddp = wrapper(model, find_unused_parameters=False, broadcast_buffers=False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = OptimWrapper(torch.optim.SGD(trained, lr=1e-2), clip_grad=dict(max_norm=1.0))
    for step in range(2):
        batch = clips(step, 2 * tiny_encoder_only.CHUNK_SIZE + 1)
        if mask:
            np.random.seed(step)
            mask_clips(batch, [dict(type='TubeMask', mode='sum', patch_size=16)] * NUM_CLIPS)
        log = ddp.train_step(share(batch), optimizer)
        assert mask == any(name.startswith('masked.') for name in log)
    states = all_gather_object({name: value.double().sum().item() for name, value in model.state_dict().items()})
    assert all(state == states[0] for state in states), 'the processes have drifted apart'
    return {name: (value - initial[name]).double() for name, value in model.state_dict().items()}


def chunks() -> dict:
    """:func:`chunked` for models with a trained and with a frozen encoder, by both wrappers."""
    videomt = dict(tiny_encoder_only.VIDEOMT, propagation=dict(type='GRUPropagation'), chunk_size=2)
    found = {}
    for name, config in dict(videomt=videomt, lvmt=tiny_encoder_only.LVMT).items():
        for wrapper in (MMDistributedDataParallel, TwoPassDistributedDataParallel):
            for mask in (False, True):
                found[name, wrapper.__name__, mask] = chunked(config, wrapper, mask)
    return found


def losses() -> dict:
    """:func:`train` for every stage."""
    return {stage: train(stage) for stage in tiny_models.STAGES}


def tiny_config() -> Config:
    """The config of the tiny videos, from a file that no other rank writes."""
    with tempfile.TemporaryDirectory() as folder:
        return load_config(tiny_vss.write_config(Path(folder, 'tiny.py')), data_root=os.environ['TINY_VIDEOS'])


def metrics() -> dict:
    """Numbers of a test of three videos, on every rank."""
    with tempfile.TemporaryDirectory() as folder:
        cfg = tiny_config()
        cfg.work_dir, cfg.launcher, cfg.log_level = folder, 'pytorch', 'ERROR'
        numbers = all_gather_object(build_runner(cfg).test())
    assert all(number == numbers[0] for number in numbers)
    return numbers[0]


def training_config(work_dir: Path, model: dict, transforms: Sequence[dict] = ()) -> Config:
    """A model in miniature on clips of the tiny videos, for four steps."""
    cfg = tiny_config()
    classes = ('dark', 'bright', *(f'class{i}' for i in range(2, tiny_models.NUM_CLASSES)))
    test = cfg.test_dataloader.dataset
    test.metainfo = dict(classes=classes, palette=[(0, 0, i) for i in range(len(classes))])
    frame = [dict(type='LoadFrameFromFile'), dict(type='LoadVideoSegAnnotations')]
    train = dict(test, test_mode=False, pipeline=[
        dict(type='SampleClip', num_frames=2, frame_range=2), dict(type='TransformBroadcaster', transforms=frame),
        *transforms, dict(type='PackVideoSegInputs')])
    cfg.merge_from_dict(dict(
        model=dict(_delete_=True, **model), work_dir=str(work_dir), launcher='pytorch', log_level='ERROR',
        val_dataloader=dict(dataset=dict(metainfo=test.metainfo)),
        train_dataloader=dict(dataset=dict(_delete_=True, **train)),
        default_hooks=dict(random_state=dict(type='RandomStateHook')),
        optim_wrapper=dict(clip_grad=dict(max_norm=0.01), optimizer=dict(lr=1.0))))
    cfg.sync_bn = 'torch'  # does nothing without GPUs
    cfg.find_unused_parameters, cfg.env_cfg = False, dict(dist_cfg=dict(backend='gloo'))
    return cfg


@contextlib.contextmanager
def common_folder() -> Iterator[Path]:
    """A temporary folder that all ranks know."""
    with tempfile.TemporaryDirectory() as root:
        folders = [root]
        torch.distributed.broadcast_object_list(folders, src=0)
        yield Path(folders[0])
        torch.distributed.barrier()


def finish(cfg: Config, resume_from: Path | None = None, hooks: Sequence[Hook] = ()) -> tuple[Runner, dict]:
    """Train to the fourth step; return the runner and the checkpoint."""
    if resume_from is not None:
        cfg.load_from, cfg.resume = str(resume_from), True
    runner = build_runner(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    runner.train_loop.dataloader_iterator = None  # ends its workers, which os._exit would leave
    torch.distributed.barrier()
    return runner, torch.load(Path(cfg.work_dir, 'iter_4.pth'), weights_only=False)


def resumed() -> dict:
    """Train stage 1 with masked frames in one go, and with a break after two steps and two workers from then on."""
    masks, found = dict(type='RandomPatchMask', patch_size=8), {}
    with common_folder() as root:
        for name, workers, start in (('whole', 0, None), ('resumed', 2, root / 'whole/iter_2.pth')):
            (root / name).mkdir(exist_ok=True)
            cfg = training_config(root / name, tiny_models.SEGMENTER, [masks])
            cfg.train_dataloader.num_workers = workers
            cfg.optim_wrapper.optimizer = dict(type='AdamW', lr=1e-3)
            _, found[name] = finish(cfg, start)
        found['before'] = torch.load(root / 'whole/iter_2.pth', weights_only=False)
    return found


VIT = dict(
    type='DINOv2ViTAdapter', arch=dict(embed_dims=64, depth=4, num_heads=4), spatial_channels=8, pretrained_grid=5)
VIT_SEGMENTER = dict(
    tiny_models.SEGMENTER, backbone=VIT, head=dict(tiny_models.SEGMENTER['head'], in_channels=[64] * 4))
RECOMPUTED = dict(VIT_SEGMENTER, backbone=dict(VIT, with_cp=True, frozen_vit=False))
#: model, and whether the hook recomputes activations where it is sharded
SHARDED = dict(offline=(tiny_models.STAGES['DVISOffline'], False), vit=(VIT_SEGMENTER, False),
               recomputed=(RECOMPUTED, True), videomt=(tiny_encoder_only.VIDEOMT, False),
               lvmt=(dict(tiny_encoder_only.LVMT, chunk_size=1), True))


def sharded() -> dict:
    """Train models unsharded, sharded, and sharded with a break after two steps: checkpoints of all."""
    torch.rand = tiny_models.repeatable_rand
    found = {}
    for case, (model, recompute) in SHARDED.items():
        found[case] = {}
        with common_folder() as root:
            for name in ('whole', 'sharded', 'resumed'):
                (root / name).mkdir(exist_ok=True)
                cfg = training_config(root / name, model)
                hooks = []
                if name != 'whole':
                    cfg.merge_from_dict(dict(runner_type='FlexibleRunner', strategy=dict(type='ShardedStrategy')))
                    hooks += [ActivationCheckpointHook()] if recompute else []
                if name == 'resumed':
                    hooks.append(CheckWeightsHook())
                runner, checkpoint = finish(cfg, root / 'sharded/iter_2.pth' if name == 'resumed' else None, hooks)
                if name != 'whole':
                    found[case]['share'] = sum(p.numel() for p in runner.model.parameters())
                found[case][name] = dict(weights=checkpoint['state_dict'],
                                         files=sorted(p.name for p in (root / name).glob('iter*')))
            found[case]['before'] = torch.load(root / 'whole/iter_2.pth', weights_only=False)['state_dict']
    return found


JOBS = dict(sharded=(sharded, (2, )), resumed=(resumed, (1, 2)), chunks=(chunks, (1, 2)),
            losses=(losses, (1, 2, 4)), metrics=(metrics, (1, 2, 3, 4)))


def run_group(size: int, function) -> object:
    """Run a function in forked processes that form a group; return rank 0's result."""
    with tempfile.TemporaryDirectory() as folder:
        children = []
        for rank in range(size):
            child = os.fork()
            if child == 0:
                os.environ['LOCAL_RANK'] = str(rank)
                try:
                    torch.distributed.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=size,
                                                         timeout=datetime.timedelta(seconds=60))
                    result = function()
                    if rank == 0:
                        torch.save(result, f'{folder}/result.pt')
                    torch.distributed.barrier()
                except BaseException:
                    traceback.print_exc()
                    os._exit(1)
                os._exit(0)
            children.append(child)
        failed = [rank for rank, child in enumerate(children) if os.waitpid(child, 0)[1] != 0]
        if failed:
            sys.exit(f'{function.__name__}, {size} processes: rank(s) {failed} failed')
        return torch.load(f'{folder}/result.pt', weights_only=False)


def main() -> None:
    torch.set_num_threads(1)
    out, *jobs = sys.argv[1:]
    results = {}
    for job in jobs:
        function, sizes = JOBS[job]
        results[job] = {size: run_group(size, function) for size in sizes}
    torch.save(results, out)


if __name__ == '__main__':
    main()
