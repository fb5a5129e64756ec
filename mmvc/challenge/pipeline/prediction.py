# Copyright (c) The mmvc contributors. All rights reserved.
"""Predictions of a model as files, made by ``tools/test.py`` in a process of its own."""

import subprocess
import sys
from pathlib import Path

from mmengine.config import ConfigDict

from mmvc.engine import load_config, require_dataloader
from mmvc.models.tta import make_tta_pipeline
from mmvc.utils.errors import UsageError
from mmvc.utils.shipped_files import find_shipped

from .plan import ModelPlan

MARGINS = 'margins'


def prepare_config(model: ModelPlan, dataset: dict) -> ConfigDict:
    """The model's config, to predict another dataset than its own, with the model's test-time augmentation.

    Args:
        model (ModelPlan): The model.
        dataset (dict): Config of the dataset, without pipeline.

    Returns:
        Config: With ``test_dataloader``, and ``tta_model`` and ``tta_pipeline`` as the model's ``tta`` says.

    Raises:
        UsageError: The config cannot be read or cannot be tested.
    """
    cfg = load_config(model.config, stage=model.stage)
    pipeline = require_dataloader(cfg, 'test').dataset.pipeline
    cfg.test_dataloader.dataset = ConfigDict(dataset, pipeline=pipeline, test_mode=True)
    cfg.test_evaluator = ConfigDict(type='VSSMetric')
    if isinstance(model.tta, dict):
        try:
            cfg.tta_pipeline = make_tta_pipeline(
                pipeline, **{key: model.tta[key] for key in ('scales', 'flip') if key in model.tta})
        except ValueError as error:
            raise UsageError(f'models["{model.name}"].tta: {error}') from error
        cfg.tta_model = dict(type='VideoSegTTAModel', voting=model.tta.get('voting', 'majority'))
    return cfg


def run_model(model: ModelPlan, dataset: dict, videos: list[str], output_dir: Path, work_dir: Path,
              processes: int = 1, trust_checkpoint: bool = False) -> None:
    """Predict videos and write ``<output_dir>/<video>/<frame>.png``.

    With a majority vote, ``<work_dir>/margins/<video>/<frame>.png`` say how clear it was, see :func:`vote_margin`.

    Args:
        model (ModelPlan): Config, checkpoint and test-time augmentation.
        dataset (dict): Config of the dataset.
        videos (list[str]): Names of the videos to predict.
        output_dir (Path): Where the predictions go.
        work_dir (Path): Where config, list of videos, log and margins go.
        processes (int): One per GPU, or on the CPU. Defaults to 1.
        trust_checkpoint (bool): Whether the checkpoint may contain code. Defaults to False.

    Raises:
        UsageError: The model cannot be tested, or its test failed; what it printed says why.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    video_list = (work_dir / 'videos.txt').resolve()
    video_list.write_text('\n'.join(videos) + '\n', encoding='utf-8')
    cfg = prepare_config(model, dict(dataset, ann_file=str(video_list)))
    if cfg.get('tta_model', {}).get('voting') == 'majority' and model.tta:
        cfg.tta_model.with_margin = True
        hook = dict(type='VoteMarginHook', output_dir=str(work_dir / MARGINS))
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]
    config = work_dir / 'config.py'
    cfg.dump(str(config))
    tool = find_shipped('tools/test.py')
    if tool is None:
        raise UsageError('tools/test.py is missing, which tests the models: install mmvc again')
    arguments = [str(tool), str(config), model.checkpoint, '--format-only', '--out-dir', str(output_dir),
                 '--work-dir', str(work_dir / 'logs')]
    arguments += ['--tta'] * bool(model.tta) + ['--trust-checkpoint'] * trust_checkpoint
    command = [sys.executable]
    if processes > 1:
        command += ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={processes}']
        arguments += ['--launcher', 'pytorch']
    status = subprocess.run([*command, *arguments], check=False).returncode
    if status:
        raise UsageError(f'model "{model.name}" was not tested to the end (status {status}, see above); run again to '
                         'go on with the videos that are left')
