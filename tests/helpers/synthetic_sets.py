# Copyright (c) The mmvc contributors. All rights reserved.
"""Generated datasets of all three tasks, and models for them in miniature."""

from pathlib import Path

from mmvc.datasets.synthetic import METAINFO, SyntheticVideoConfig, make_synthetic_dataset

META = dict(classes=METAINFO['classes'], palette=METAINFO['palette'])
THINGS = ('ball', 'crate', 'flower', 'fish', 'kite', 'ring')
NUM_FRAMES, SIZE = 3, (48, 64)


def make_sets(root: Path) -> Path:
    """Write two training and two validation videos of 3 frames of 48x64, in all formats."""
    config = SyntheticVideoConfig(size=SIZE, num_frames=NUM_FRAMES, thing_radius=(0.2, 0.3))
    make_synthetic_dataset(root, config, formats=('vspw', 'vipseg', 'ytvis'), num_train=2, num_val=2)
    return root


def dataset_cfg(root: Path, task: str, split: str = 'val', **changes) -> dict:
    """Config of one of these datasets, without a pipeline."""
    own = dict(
        vss=dict(type='VSPWDataset', data_root=str(root / 'vspw'), ann_file=f'{split}.txt'),
        vps=dict(type='VIPSegDataset', data_root=str(root / 'vipseg'), ann_file=f'panoptic_gt_VIPSeg_{split}.json'),
        vis=dict(type='YouTubeVISDataset', data_root=str(root / 'ytvis'),
                 split=dict(val='valid').get(split, split)))[task]
    # only things are instances
    meta = META if task != 'vis' else _things()
    return dict(own, metainfo=meta, **changes)


def _things() -> dict:
    chosen = [index for index, name in enumerate(META['classes']) if name in THINGS]
    return {key: [values[index] for index in chosen] for key, values in META.items()}


def whole_pipeline() -> list:
    """Whole videos, without their ground truth."""
    return [dict(type='SampleAllFrames'),
            dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrameFromFile')]),
            dict(type='PackVideoSegInputs')]


def clip_pipeline(task: str, *masks: dict, num_frames: int = 2) -> list:
    """Clips with their ground truth."""
    annotations = dict(type='LoadFrameInstances' if task == 'vis' else 'LoadVideoSegAnnotations')
    return [dict(type='SampleClip', num_frames=num_frames, frame_range=2),
            dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrameFromFile'), annotations]),
            *masks, dict(type='PackVideoSegInputs')]
