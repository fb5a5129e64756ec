# Copyright (c) The mmvc contributors. All rights reserved.
"""What ``mmvc publish`` does."""

import argparse
import hashlib
import io
import time
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from torch import Tensor

from mmvc.apis.sharing import shared_meta, shared_weights
from mmvc.engine import (
    load_config,
    read_config,
    report_errors,
    require_checkpoint,
    stage_names,
)
from mmvc.registry import MODELS
from mmvc.utils import safetensors_files
from mmvc.utils.atomic import atomic_write
from mmvc.utils.checkpoint_loading import trust_checkpoints
from mmvc.utils.errors import UsageError
from mmvc.utils.outputs import protect_inputs
from mmvc.zoo import resolve_checkpoint

#: entries that describe the training to a user of the weights
KEPT_META = ('iter', 'epoch', 'converted_from', 'source', 'source_sha256')


def to_bytes(weights: dict[str, Tensor], meta: dict, as_safetensors: bool) -> bytes:
    """Content of the file.

    Raises:
        UsageError: ``as_safetensors`` is set and safetensors is not installed.
    """
    if as_safetensors:
        return safetensors_files.to_bytes(weights, meta)
    buffer = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=weights), buffer)
    return buffer.getvalue()


def run(args: argparse.Namespace) -> None:
    """Publish the checkpoint of the command line."""
    if args.trust_checkpoint:
        trust_checkpoints()
    with report_errors():
        names = stage_names(read_config(args.config))
        stage = args.stage or (names[-1] if names else None)
        cfg = load_config(args.config, stage=stage)
        source = resolve_checkpoint(args.checkpoint, '')
        require_checkpoint(source)
        checkpoint = CheckpointLoader.load_checkpoint(source, map_location='cpu')
        init_default_scope(cfg.get('default_scope', 'mmvc'))
        if not isinstance(checkpoint, dict) or not checkpoint.get('state_dict'):
            raise UsageError('the checkpoint has no "state_dict", so mmengine did not write it: convert weights of '
                             'other projects with dvispp_to_mmvc.py')
        model = MODELS.build(cfg.model)
        weights = shared_weights(model, checkpoint['state_dict'])
        shared = shared_meta(cfg, checkpoint, model)
        old_meta = checkpoint.get('meta', {})
        meta = dict(config_name=Path(args.config).name, **(dict(stage=stage) if stage else {}), **shared.meta,
                    **{name: old_meta[name] for name in KEPT_META if name in old_meta})
        content = to_bytes(weights, meta, args.safetensors)
        date = args.date or str(old_meta.get('time') or time.strftime('%Y%m%d'))[:8]
        suffix = 'safetensors' if args.safetensors else 'pth'
        digest = hashlib.sha256(content).hexdigest()
        name = '_'.join([Path(args.config).stem, *([stage] if stage else []), date])
        path = Path(args.out_dir) / f'{name}-{digest[:8]}.{suffix}'
        protect_inputs([path], [source], 'OUT_DIR')
        atomic_write(path, content)
        parameters = sum(value.numel() for value in weights.values())
        print(f'{path}: {len(weights)} tensors, {parameters:,} values, {len(content) / 2**20:.1f} MiB, '
              f'sha256 {digest}')
        for item in shared.left_out:
            print(f'left out of the config: {item}')
        if shared.obstacle is None:
            print(f'it runs alone: python -m mmvc.apis VIDEO --weights {path}')
        else:
            print(f'it needs its config beside it (--model), because {shared.obstacle}')
