# Copyright (c) The mmvc contributors. All rights reserved.
"""Take labels away from datasets and from packed clips, as if only some frames had been labelled."""

import json
from collections.abc import Collection, Sequence
from copy import deepcopy
from pathlib import Path

from mmdet.structures import TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from mmvc.formats.youtube_vis import ANN_FILES, find_path


def thin_vspw(root: Path, keep: Collection[int]) -> None:
    """Remove the masks of all frames but those whose number, counted in their video from 0, is to be kept."""
    for folder in root.glob('data/*/mask'):
        for number, mask in enumerate(sorted(folder.iterdir())):
            if number not in keep:
                mask.unlink()


def thin_vipseg(root: Path, keep: Collection[int]) -> None:
    """Remove PNGs and annotations, as :func:`thin_vspw`."""
    for path in root.glob('*.json'):
        content = json.loads(path.read_text())
        for video in content.get('annotations', ()):
            for number, frame in enumerate(video['annotations']):
                if number not in keep:
                    Path(root, 'panomasksRGB', video['video_id'], frame['file_name']).unlink(missing_ok=True)
            video['annotations'] = [frame for number, frame in enumerate(video['annotations']) if number in keep]
        path.write_text(json.dumps(content))


def thin_vis(root: Path, keep: Collection[int], splits: Sequence[str] = ('train', )) -> None:
    """List the kept frames as ``labelled_frames``, and remove the masks in the others."""
    for split in splits:
        path = root / find_path(root, split, ANN_FILES)
        content = json.loads(path.read_text())
        for video in content['videos']:
            video['labelled_frames'] = [t for t in range(len(video['file_names'])) if t in keep]
        for track in content['annotations']:
            for key in ('segmentations', 'bboxes', 'areas', 'occlusion'):
                if key in track:
                    track[key] = [value if t in keep else None for t, value in enumerate(track[key])]
        path.write_text(json.dumps(content))


def hide_labels(sample: TrackDataSample, labelled: Collection[int]) -> TrackDataSample:
    """A packed clip of which only some frames are labelled."""
    frames = deepcopy(sample.video_data_samples)
    for t, frame in enumerate(frames):
        if t not in labelled:
            frame.set_metainfo(dict(labelled=False))
            known = frame.gt_instances
            frame.gt_instances = InstanceData(
                labels=known.labels[:0],
                instances_ids=known.instances_ids[:0],
                masks=BitmapMasks(known.masks.masks[:0], known.masks.height, known.masks.width))
    return TrackDataSample(video_data_samples=frames)


def hide_batch(batch: dict, labelled: Sequence[Collection[int]]) -> dict:
    """A batch of which only some frames of each clip are labelled."""
    samples = [hide_labels(sample, frames) for sample, frames in zip(batch['data_samples'], labelled)]
    return dict(inputs=[clip.clone() for clip in batch['inputs']], data_samples=samples)


def cut_batch(batch: dict, frames: Sequence[Sequence[int]]) -> dict:
    """A batch that has only some frames of each clip."""
    samples = [TrackDataSample(video_data_samples=[deepcopy(sample[t]) for t in kept])
               for sample, kept in zip(batch['data_samples'], frames)]
    return dict(inputs=[clip[list(kept)] for clip, kept in zip(batch['inputs'], frames)], data_samples=samples)
