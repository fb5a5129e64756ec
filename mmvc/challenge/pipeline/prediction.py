# Copyright (c) The mmvc contributors. All rights reserved.
"""Predict videos with a model, by running ``tools/test.py`` in another process."""

import sys
from pathlib import Path

from mmengine.config import ConfigDict

from mmvc.engine import load_config, require_dataloader
from mmvc.models.tta import make_tta_pipeline
from mmvc.utils.atomic import atomic_path, atomic_write
from mmvc.utils.children import run_child
from mmvc.utils.dataset_configs import innermost_dataset
from mmvc.utils.errors import UsageError
from mmvc.utils.shipped_files import find_shipped
from mmvc.utils.threads import child_environment

from .plan import ModelPlan

MARGINS = 'margins'


def prepare_config(model: ModelPlan, dataset: dict) -> ConfigDict:
    """Make the config that predicts the dataset of the challenge with a model and its test-time augmentation.

    Args:
        model (ModelPlan): The model.
        dataset (dict): Config of the dataset, without pipeline.

    Returns:
        ConfigDict: The config of the model with this dataset in its ``test_dataloader``, and with the ``tta_model``
        and ``tta_pipeline`` that ``model.tta`` asks for.

    Raises:
        UsageError: The config cannot be read or has no ``test_dataloader``.
    """
    cfg = load_config(model.config, stage=model.stage)
    pipeline = innermost_dataset(require_dataloader(cfg, 'test').dataset)['pipeline']
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

    A majority vote also writes ``<work_dir>/margins/<video>/<frame>.png``, its margins; see :func:`vote_margin`.

    Args:
        model (ModelPlan): Config, checkpoint and test-time augmentation.
        dataset (dict): Config of the dataset.
        videos (list[str]): Names of the videos to predict.
        output_dir (Path): Folder for the predictions.
        work_dir (Path): Folder for config, list of videos, log and margins.
        processes (int): Number of processes, one per GPU. Defaults to 1.
        trust_checkpoint (bool): Whether the checkpoint may contain code. Defaults to False.

    Raises:
        UsageError: The model cannot be tested, or the test failed. Its output says why.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    video_list = (work_dir / 'videos.txt').resolve()
    atomic_write(video_list, ('\n'.join(videos) + '\n').encode('utf-8', 'surrogateescape'))
    cfg = prepare_config(model, dict(dataset, ann_file=str(video_list)))
    if cfg.get('tta_model', {}).get('voting') == 'majority' and model.tta:
        cfg.tta_model.with_margin = True
        hook = dict(type='VoteMarginHook', output_dir=str(work_dir / MARGINS))
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]
    config = work_dir / 'config.py'
    with atomic_path(config, keep_suffix=True) as draft:
        cfg.dump(str(draft))
    tool = find_shipped('tools/test.py')
    if tool is None:
        raise UsageError('tools/test.py, which predicts the videos, is missing: install mmvc again')
    arguments = [str(tool), str(config), model.checkpoint, '--format-only', '--out-dir', str(output_dir),
                 '--work-dir', str(work_dir / 'logs')]
    if model.tta:
        arguments.append('--tta')
    if trust_checkpoint:
        arguments.append('--trust-checkpoint')
    command = [sys.executable]
    if processes > 1:
        command += ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={processes}']
        arguments += ['--launcher', 'pytorch']
    status = run_child([*command, *arguments], child_environment(processes))
    if status:
        raise UsageError(f'model "{model.name}": tools/test.py failed with status {status}, see its output above. Run '
                         'the pipeline again to go on with the videos that are left')
