# Copyright (c) The mmvc contributors. All rights reserved.
"""Writes whole datasets. The folder of a dataset appears only when it is complete."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from mmvc.utils.arguments import check_number
from mmvc.utils.atomic import atomic_folder
from mmvc.utils.errors import UsageError
from mmvc.utils.jobs import run_jobs

from .classes import METAINFO
from .config import GENERATOR_VERSION, SyntheticVideoConfig
from .video import SyntheticVideo
from .writers import WRITERS, ObjectWriter, encode, write_json

MANIFEST = 'meta.json'


def write_video(job: tuple[str, int], config: SyntheticVideoConfig, seed: int, roots: dict[str, Path],
                jpeg_quality: int, with_objects: bool) -> dict[str, dict[str, Any]]:
    """Render one video, and write it in several formats.

    Args:
        job (tuple[str, int]): Split and number of the video.
        config (SyntheticVideoConfig): Settings.
        seed (int): Seed of the dataset.
        roots (dict[str, Path]): Format -> root folder.
        jpeg_quality (int): 1 to 100.
        with_objects (bool): Whether to write ``objects/`` as well.

    Returns:
        dict[str, dict]: Format -> record of the video for the index files.
    """
    split, index = job
    video = SyntheticVideo(config, seed, index, split)
    writers = {name: WRITERS[name](root, video.meta) for name, root in roots.items()}
    extra = [ObjectWriter(root, video.meta) for root in roots.values()] if with_objects else []
    for t, frame in enumerate(video):
        jpeg = encode('.jpg', frame.image, cv2.IMWRITE_JPEG_QUALITY, jpeg_quality)
        for writer in writers.values():
            writer.add(f'{t:08d}', frame, jpeg)
        for objects in extra:
            objects.add(f'{t:08d}', frame)
    for objects in extra:
        objects.finish()
    return {name: writer.record() for name, writer in writers.items()}


def is_complete(target: Path, parameters: dict[str, Any], overwrite: bool) -> bool:
    """Return whether a dataset with these parameters exists already.

    Args:
        target (Path): Folder of the dataset.
        parameters (dict[str, Any]): Parameters of the dataset, as JSON has them.
        overwrite (bool): Whether a synthetic dataset may be replaced.

    Returns:
        bool: False if the dataset must be written.

    Raises:
        FileExistsError: The folder holds something else, or, without ``overwrite``, a dataset with other parameters.
    """
    if not target.exists():
        return False
    manifest = target / MANIFEST
    try:
        found = json.loads(manifest.read_text(encoding='utf-8'))['parameters']
        found['generator']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileExistsError(f'{target} exists and is not a synthetic dataset ({manifest} is missing or has other '
                              'content): choose another output folder, or remove this one') from error
    if overwrite:
        return False
    found = {**asdict(SyntheticVideoConfig()), **found}  # an older dataset lacks newer options
    found = json.loads(json.dumps(found))
    if found == parameters:
        return True
    differing = [f'{key}: {found.get(key)} there, {parameters.get(key)} asked for'
                 for key in sorted({*found, *parameters}) if found.get(key) != parameters.get(key)]
    raise FileExistsError(f'{target} was made with other settings ({"; ".join(differing)}): choose another output '
                          'folder, or replace the dataset (--overwrite)')


def make_synthetic_dataset(out_dir: str | Path,
                           config: SyntheticVideoConfig | None = None,
                           *,
                           formats: Sequence[str] = ('vspw', ),
                           num_train: int = 40,
                           num_val: int = 8,
                           seed: int = 0,
                           jpeg_quality: int = 95,
                           with_objects: bool = False,
                           workers: int = 1,
                           overwrite: bool = False) -> dict[str, Path]:
    """Generate videos and write them as datasets ``<out_dir>/<format>``.

    The folder of a dataset appears only when it is complete. An existing dataset with the same settings is kept. All
    formats hold the same videos.

    Args:
        out_dir (str | Path): Folder of the datasets.
        config (SyntheticVideoConfig, optional): Settings of the videos. Defaults to None (all defaults).
        formats (Sequence[str]): Any of ``'vspw'``, ``'vipseg'``, ``'ytvis'``.
        num_train (int): Training videos, >= 0.
        num_val (int): Validation videos, >= 0.
        seed (int): Seed, >= 0.
        jpeg_quality (int): 1 (small) to 100 (good).
        with_objects (bool): Whether to add a folder ``objects/`` to each dataset, for ``ObjectMetric``: where each
            object is visible, how much of it is occluded, and what reveals its class (:class:`ObjectWriter`).
        workers (int): Number of processes, >= 1.
        overwrite (bool): Whether to replace existing synthetic datasets. Other folders are never replaced.

    Returns:
        dict[str, Path]: Format -> root of the dataset.

    Raises:
        UsageError: An argument is out of range.
        FileExistsError: The folder of a dataset holds something else.
    """
    config = config or SyntheticVideoConfig()
    unknown = [name for name in formats if name not in WRITERS]
    if unknown or not formats:
        raise UsageError(f'unknown formats {unknown}: choose one or more of {", ".join(WRITERS)}')
    for name, value in dict(num_train=num_train, num_val=num_val, seed=seed).items():
        check_number(name, value, 0, whole=True)
    check_number('jpeg_quality', jpeg_quality, 1, 100, whole=True)
    check_number('workers', workers, 1, whole=True)
    jobs = [(split, i) for split, count in (('train', num_train), ('val', num_val)) for i in range(count)]
    if not jobs:
        raise UsageError('num_train and num_val are both 0: ask for at least one video')

    parameters = dict(generator=GENERATOR_VERSION, seed=seed, num_train=num_train, num_val=num_val,
                      jpeg_quality=jpeg_quality, **asdict(config))
    if with_objects:  # no entry otherwise, like datasets that are older than the option
        parameters['with_objects'] = True
    parameters = json.loads(json.dumps(parameters))  # tuples become lists, as they are read back
    roots = {name: Path(out_dir) / name for name in formats}
    missing = {name: root for name, root in roots.items() if not is_complete(root, parameters, overwrite)}
    if not missing:
        return roots

    with ExitStack() as stack:
        drafts = {name: stack.enter_context(atomic_folder(root)) for name, root in missing.items()}
        work = partial(write_video, config=config, seed=seed, jpeg_quality=jpeg_quality, with_objects=with_objects,
                       roots=drafts)
        records: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name in missing}
        for by_format, (split, _) in zip(run_jobs(work, jobs, workers), jobs):
            for name, record in by_format.items():
                records[name].setdefault(split, []).append(record)
        for name, draft in drafts.items():
            WRITERS[name].write_index(draft, records[name])
            thing_ids = [i for i, isthing in enumerate(METAINFO['isthing']) if isthing]
            write_json(draft / MANIFEST, dict(format=name, **METAINFO, thing_ids=thing_ids, parameters=parameters))
    return roots
