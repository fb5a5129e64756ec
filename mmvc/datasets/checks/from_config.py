# Copyright (c) The mmvc contributors. All rights reserved.
"""Check the datasets of a config: every frame and annotation, through the loading transforms of its pipelines."""

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict

from mmvc.datasets.base_video import BaseVideoDataset
from mmvc.datasets.base_video_seg import BaseVideoSegDataset
from mmvc.registry import DATASETS, TRANSFORMS
from mmvc.utils.errors import UsageError
from mmvc.utils.files import other_images
from mmvc.utils.jobs import run_jobs
from mmvc.utils.type_names import type_name

from .report import CheckReport

SPLITS = ('train', 'val', 'test')


def check_config(cfg: Config, splits: Sequence[str] = SPLITS, workers: int = 1, quick: bool = False) -> CheckReport:
    """Check the datasets of a config, of any layout and dataset class.

    A dataset is built as for a training, and the transforms of the training pipeline whose names begin with ``Load``
    are applied to every frame. So everything that would stop the training is a problem. Where the evaluator of a
    validation or test set computes numbers, its annotations are checked in the same way. In addition, all frames of a
    video must have the same size, and the model must have as many classes as the dataset.

    Args:
        cfg (Config): Config of a stage. Its default scope is initialised.
        splits (Sequence[str]): Any of ``train``, ``val`` and ``test``; those without a dataloader are left out.
            Defaults to all.
        workers (int): Number of processes. Defaults to 1.
        quick (bool): Whether to read only the headers of images and masks. Defaults to False.

    Returns:
        CheckReport: What was found.

    Raises:
        UsageError: The config has none of these dataloaders, or a dataset cannot be built from its arguments.
    """
    report = CheckReport()
    loaders: dict[str, list] = {}
    checked: dict[str, ConfigDict] = {}
    trained: set[str] = set()  # first frames of the training videos
    for split in SPLITS:
        loader = cfg.get(f'{split}_dataloader')
        if loader is None:
            continue
        parts = list(_datasets(loader.dataset))
        loaders[split] = [_loaders(pipeline) for _, pipeline in parts]
        if split not in splits:
            continue
        same = next((name for name, dataset in checked.items() if dataset == loader.dataset), None)
        if same is not None:
            report.notes.append(f'{split}: the same dataset as {same}')
            continue
        checked[split] = loader.dataset
        is_scored = split == 'train' or _is_scored(cfg.get(f'{split}_evaluator'))
        for index, (dataset, _) in enumerate(parts):
            name = split if len(parts) == 1 else f'{split} {index + 1}'
            if split == 'train' or not is_scored or 'train' not in loaders:
                transforms = loaders[split][index]
            else:
                transforms = loaders['train'][0]
            videos = _check_dataset(report, cfg, name, dataset, is_scored, transforms, workers, quick)
            if split == 'train':
                trained |= videos
            elif trained & videos:
                report.notes.append(f'{name}: {len(trained & videos)} of {len(videos)} videos are trained on, too')
    if not checked:
        raise UsageError(f'config "{cfg.filename}" has no {" or ".join(f"{split}_dataloader" for split in splits)}: '
                         'there is no dataset to check')
    return report


def _datasets(config: dict, pipeline: Sequence = ()) -> Iterator[tuple[dict, Sequence]]:
    """The datasets in a dataset, each with the pipeline that its items pass through."""
    pipeline = config.get('pipeline') or pipeline
    for part in config.get('datasets') or ([config['dataset']] if 'dataset' in config else []):
        yield from _datasets(part, pipeline)
    if 'datasets' not in config and 'dataset' not in config:
        yield config, pipeline


def _loaders(pipeline: Sequence[dict]) -> list[dict]:
    """The transforms of a pipeline that load something, in their order."""
    found = []
    for transform in pipeline:
        if type_name(transform).startswith('Load'):
            found.append(transform)
        found += _loaders(transform.get('transforms') or ())
    return found


def _is_scored(evaluator: Any) -> bool:
    """Whether an evaluator computes numbers, for which it needs annotations."""
    evaluators = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]
    return any(entry and not entry.get('format_only') for entry in evaluators)


def _check_dataset(report: CheckReport, cfg: Config, name: str, config: dict, is_scored: bool, loaders: list[dict],
                   workers: int, quick: bool) -> set[str]:
    """Check a dataset; return the first frames of its videos."""
    arguments = dict(copy.deepcopy(config), pipeline=[], lazy_init=True)
    try:
        dataset = DATASETS.build(arguments)
        if is_scored and isinstance(dataset, BaseVideoDataset) and not isinstance(dataset, BaseVideoSegDataset):
            dataset = DATASETS.build(dict(arguments, test_mode=False))  # annotations in a file are read only then
        transforms = [TRANSFORMS.build(dict(transform)) for transform in loaders]
    except (KeyError, TypeError) as error:
        raise UsageError(f'config "{cfg.filename}": the dataset of {name} cannot be built: {error}') from error
    except (OSError, ValueError) as error:
        report.add('refused', f'{name}: {error}')
        return set()
    report.count(name, videos=0, frames=0, labelled=0)
    known = len(report.problems)
    report.attempt('refused', dataset.full_init)
    if len(report.problems) > known:
        return set()
    _check_classes(report, cfg, name, dataset.metainfo)
    jobs = [dataset.get_data_info(index) for index in range(len(dataset))]
    seen: Counter = Counter()
    is_sparse = getattr(dataset, 'sparse_labels', False)
    for found, classes in run_jobs(partial(_check_video, name, transforms, quick, is_sparse), jobs, workers):
        report.merge(found)
        seen.update(classes)
    if is_scored and not report.counts[name]['labelled']:
        report.add('frame without mask', f'{name}: no frame has annotations')
    elif seen:
        absent = [label for index, label in enumerate(dataset.metainfo['classes']) if not seen[index]]
        if absent:
            report.notes.append(f'{name}: no annotation of {len(absent)} of {len(dataset.metainfo["classes"])} '
                                f'classes: {", ".join(absent)}')
    return {video.get('images', [video])[0]['img_path'] for video in jobs}


def _check_classes(report: CheckReport, cfg: Config, name: str, metainfo: dict) -> None:
    """Compare the classes of a dataset with those of the model."""
    model, classes = cfg.get('model') or {}, metainfo.get('classes') or ()
    if model.get('num_classes', len(classes)) != len(classes):
        report.add('classes', f'{name}: the dataset has {len(classes)} classes, model.num_classes is '
                              f'{model["num_classes"]}')
    things = (model.get('postprocessor') or {}).get('thing_classes')
    if things is not None and 'thing_classes' in metainfo:
        expected = sorted(classes.index(label) for label in metainfo['thing_classes'])
        if sorted(things) != expected:
            report.add('classes', f'{name}: the things of the dataset are {expected}, '
                                  f'model.postprocessor.thing_classes is {sorted(things)}')


def _check_video(name: str, transforms: list, quick: bool, is_sparse: bool,
                 video: dict) -> tuple[CheckReport, Counter]:
    """Check the frames of a video, or an image; return also how many frames show each class."""
    report = CheckReport()
    seen: Counter[int] = Counter()
    frames = video.get('images', [video])
    shared = {key: value for key, value in video.items() if key != 'images'}
    labelled = [frame.get('labelled', True) and (bool(frame.get('seg_map_path')) or frame.get('instances') is not None)
                for frame in frames]
    report.count(name, videos=1, frames=len(frames), labelled=sum(labelled))
    if is_sparse:
        report.count_labels(name, str(video.get('video_id')), sum(labelled), len(frames))
    if any(frame.get('seg_map_path') for frame in frames):  # JSONs of instances often list a part of the images
        taken = [frame.get(key) for frame in frames for key in ('img_path', 'seg_map_path')]
        report.others += other_images(Path(frames[0]['img_path']).parent, {Path(path).name for path in taken if path})
    sizes = set()
    for frame, is_labelled in zip(frames, labelled):
        size = report.image_size(Path(frame['img_path']), quick=True)
        if size is None:
            continue
        sizes.add(size)
        report.sizes[size] += 1
        if quick:
            if frame.get('seg_map_path'):
                _compare(report, size, frame)
            continue
        results = dict(shared, **copy.deepcopy(frame))
        try:
            for transform in transforms:
                if is_labelled or 'Annotations' not in type(transform).__name__:
                    results = transform(results)
        except FileNotFoundError as error:
            report.add('missing file', str(error))
        except (OSError, ValueError) as error:
            report.add('refused', str(error))
        else:
            seen.update(_classes_of(results))
    if len(sizes) > 1:
        report.add('size', f'video "{video.get("video_id")}": its frames have the sizes {sorted(sizes)} (width, '
                           'height)')
    return report, seen


def _compare(report: CheckReport, size: tuple[int, int], frame: dict) -> None:
    mask = report.image_size(Path(frame['seg_map_path']), quick=True)
    if mask is not None and mask != size:
        report.add('size', f'{frame["seg_map_path"]}: {mask[0]} x {mask[1]}, its frame {size[0]} x {size[1]}')


def _classes_of(results: dict) -> set[int]:
    """Indices of the classes that a loaded frame shows."""
    if results.get('segments_info') is not None:
        return {segment['category_id'] for segment in results['segments_info']}
    if 'gt_bboxes_labels' in results:
        return set(results['gt_bboxes_labels'].tolist())
    return set(np.unique(results['gt_seg_map']).tolist()) if 'gt_seg_map' in results else set()
