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
from torch import Tensor, nn

from mmvc.apis.model_card import check_license, model_card
from mmvc.apis.sharing import SharedMeta, halved_weights, shared_meta, shared_weights
from mmvc.engine import (
    load_config,
    read_config,
    report_errors,
    require_checkpoint,
    stage_names,
)
from mmvc.formats.json_files import read_json
from mmvc.registry import MODELS
from mmvc.utils import safetensors_files
from mmvc.utils.atomic import atomic_write
from mmvc.utils.checkpoint_loading import trust_checkpoints
from mmvc.utils.choices import CARD_NAME, SHARED_WEIGHTS
from mmvc.utils.errors import DataError, UsageError, named
from mmvc.utils.outputs import protect_inputs
from mmvc.utils.tasks import task_of
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


def read_numbers(path: str) -> dict[str, float]:
    """Read the metrics that ``mmvc test --out`` has written.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is something else.
    """
    expected = 'metrics by name, as "mmvc test --out" writes them'
    numbers = read_json(path, dict, expected)
    bad = [name for name, value in numbers.items() if isinstance(value, bool) or not isinstance(value, (int, float))]
    if bad:
        raise DataError(f'"{path}": {named(bad)} is no number: expected {expected}')
    return numbers


def read_notes(path: str) -> str:
    """Read the text for a model card.

    Raises:
        UsageError: The file does not exist, or is no text.
    """
    try:
        return Path(path).read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'--notes: "{path}" cannot be read as text ({error}): give a Markdown file') from error


def card_of(model: nn.Module, shared: SharedMeta, weights: dict[str, Tensor], license: str | None, folder: str,
            numbers: dict[str, float] | None, notes: str) -> str:
    """Write the card of a published folder.

    Raises:
        UsageError: The file does not run alone, or the task of the model is not known.
    """
    task = task_of(getattr(model, 'postprocessor', None))
    obstacle = shared.obstacle or ('the task of its post-processor is not known' if task is None else None)
    if task is None or obstacle is not None:
        raise UsageError(f'a folder with a model card must run alone, but {obstacle}: mend that, or publish without '
                         '--folder')
    parameters = sum(value.numel() for value in weights.values() if value.is_floating_point())
    return model_card(task, type(model).__name__, shared.meta['dataset_meta']['classes'], parameters, license, folder,
                      numbers, notes)


def run(args: argparse.Namespace) -> None:
    """Publish the checkpoint of the command line."""
    if args.trust_checkpoint:
        trust_checkpoints()
    with report_errors():
        numbers = read_numbers(args.results) if args.results else None
        notes = read_notes(args.notes) if args.notes else ''
        check_license(args.license)
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
        if args.half:
            weights = halved_weights(weights)
        shared = shared_meta(cfg, checkpoint, model)
        card_text = None
        if args.folder:
            card_text = card_of(model, shared, weights, args.license, args.out_dir, numbers, notes)
        old_meta = checkpoint.get('meta', {})
        meta = dict(config_name=Path(args.config).name, **(dict(stage=stage) if stage else {}), **shared.meta,
                    **{name: old_meta[name] for name in KEPT_META if name in old_meta})
        content = to_bytes(weights, meta, args.safetensors or args.folder)
        date = args.date or str(old_meta.get('time') or time.strftime('%Y%m%d'))[:8]
        suffix = 'safetensors' if args.safetensors else 'pth'
        digest = hashlib.sha256(content).hexdigest()
        name = '_'.join([Path(args.config).stem, *([stage] if stage else []), date])
        path = Path(args.out_dir) / (SHARED_WEIGHTS if args.folder else f'{name}-{digest[:8]}.{suffix}')
        card = Path(args.out_dir) / CARD_NAME
        protect_inputs([path, *([card] if args.folder else [])], [source, args.notes, args.results], 'OUT_DIR')
        atomic_write(path, content)
        parameters = sum(value.numel() for value in weights.values())
        if card_text is not None:
            atomic_write(card, card_text.encode())
        print(f'{path}: {len(weights)} tensors, {parameters:,} values, {len(content) / 2**20:.1f} MiB, '
              f'sha256 {digest}')
        for item in shared.left_out:
            print(f'left out of the config: {item}')
        if shared.obstacle is None:
            print(f'it runs alone: python -m mmvc.apis VIDEO --weights {path}')
        else:
            print(f'it needs its config beside it (--model), because {shared.obstacle}')
