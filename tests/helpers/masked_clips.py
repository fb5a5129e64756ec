# Copyright (c) The mmvc contributors. All rights reserved.
"""Clips of a batch, masked."""

import torch

from mmvc.registry import TRANSFORMS


def mask_clips(batch, transforms):
    """Send each clip of a batch through its transform, as the pipeline does right before packing."""
    for i, cfg in enumerate(transforms):
        frames = [frame.permute(1, 2, 0).numpy() for frame in batch['inputs'][i]]
        results = TRANSFORMS.build(dict(cfg, mask_ratio=0.5))(dict(img=frames))
        batch['inputs'][i] = torch.stack([torch.from_numpy(frame).permute(2, 0, 1) for frame in results['img']])
        for t, frame in enumerate(batch['data_samples'][i]):
            frame.set_metainfo({key: results[key][t] for key in ('masked', 'patch_mask', 'patch_size')})
    return batch
