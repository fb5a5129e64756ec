# Copyright (c) The mmvc contributors. All rights reserved.
"""Parts of training clips: chunks of their frames, their share of the labels, and pixels that are hidden."""

from collections.abc import Sequence

import torch
from mmdet.structures import TrackDataSample
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor

from mmvc.utils.patch_mask import expand_patch_mask


def select_frames(sample: TrackDataSample, frames: slice) -> TrackDataSample:
    """Take some frames of a clip, as a clip."""
    selected = TrackDataSample(metainfo=sample.metainfo)
    selected.video_data_samples = sample.video_data_samples[frames]
    return selected


def share_of_labels(parts: Sequence[TrackDataSample], clips: Sequence[TrackDataSample],
                     device: torch.device) -> float | Tensor:
    """Share of the labelled frames of clips, on all ranks together, that chunks of them have: the weight of a chunk.

    With several ranks this is a collective.
    """
    counts = [sum(frame.metainfo.get('labelled', True) for sample in samples for frame in sample)
              for samples in (parts, clips)]
    if get_world_size() == 1:
        return counts[0] / counts[1]
    total = torch.tensor(counts, dtype=torch.float32, device=device)
    all_reduce(total)
    return total[0] / total[1]


def pixels_to_hide(data_samples: Sequence[TrackDataSample], inputs: Tensor) -> Tensor:
    """Pixels that the masked pass of the form "sum" hides: bool (B, T, 1, H, W)."""
    frames = [frame for sample in data_samples for frame in sample]
    height, width = inputs.shape[-2:]
    hidden = torch.zeros((len(frames), 1, height, width), dtype=torch.bool)
    for pixels, frame in zip(hidden, frames):
        mask = frame.metainfo.get('patch_mask')
        if mask is not None:  # clips of other datasets in the batch may have none
            h, w = frame.img_shape[:2]
            pixels[0, :h, :w] = torch.from_numpy(expand_patch_mask(mask, frame.patch_size, h, w))
    return hidden.view(*inputs.shape[:2], 1, height, width).to(inputs.device)
