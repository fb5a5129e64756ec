# Copyright (c) The mmvc contributors. All rights reserved.
"""What the official training code of VidEoMT, PMT and LVMT does differently, for models with ``official_quirks``.

By default the package does none of this. The official matching of objects that find no free query is the option
``shares_queries`` of :class:`ClipHungarianMatcher`.
"""

from collections.abc import Sequence

import torch
from mmengine.structures import InstanceData
from torch import Tensor

#: Class that the official mapper gives an object in a frame without its annotation; the default of detectron2.
PLACEHOLDER_CLASS = 54


def official_targets(targets: Sequence[InstanceData],
                     num_classes: int,
                     is_vis: bool,
                     whole_clips: Sequence[InstanceData] | None = None) -> list[InstanceData]:
    """Turn the targets of clips, or of chunks of them, into those of the official code.

    The official loaders differ by task:

    - VIS: an object has the class of the clip's last frame. If it is absent there, it has a placeholder. The matcher
      limits the placeholder to K, so the object is matched by the probability of the empty class. The class loss
      limits it to K - 1, so the object is trained as the last class of the set, in every frame.
    - VSS and VPS: an object counts as present in all frames. So all objects are matched in the first frame; those
      that appear later are matched there on empty masks. A chunk has all objects of its clip.

    Args:
        targets (Sequence[InstanceData]): Clips with ``labels`` (n,), ``masks`` (n, T, H, W) and ``present`` (n, T), as
            of :func:`clip_targets`.
        num_classes (int): Number of classes K.
        is_vis (bool): Whether the task is VIS.
        whole_clips (Sequence[InstanceData], optional): For chunks, the targets of the clips. Defaults to None.

    Returns:
        list[InstanceData]: New targets with the same objects; for VIS also with ``match_labels`` (n,), the classes for
        the costs of :class:`ClipHungarianMatcher`, from 0 to K.
    """
    if is_vis:
        return [_with_last_labels(target, num_classes) for target in targets]
    return [_in_all_frames(target, clip) for target, clip in zip(targets, whole_clips or targets)]


def _with_last_labels(target: InstanceData, num_classes: int) -> InstanceData:
    target = target.new()
    last = torch.where(target.present[:, -1], target.labels, PLACEHOLDER_CLASS)
    target.labels, target.match_labels = last.clamp(max=num_classes - 1), last.clamp(max=num_classes)
    return target


def _in_all_frames(target: InstanceData, clip: InstanceData) -> InstanceData:
    absent = ~torch.isin(clip.instances_ids, target.instances_ids)
    masks = target.masks.new_zeros((int(absent.sum()), *target.masks.shape[1:]))
    present = torch.ones((len(target) + len(masks), target.present.shape[1]), dtype=torch.bool, device=masks.device)
    return InstanceData(
        labels=torch.cat([target.labels, clip.labels[absent]]),
        instances_ids=torch.cat([target.instances_ids, clip.instances_ids[absent]]),
        masks=torch.cat([target.masks, masks]),
        present=present)


def official_final_order(predictions: Tensor) -> Tensor:
    """Mix up clips and frames of the final prediction as the official code does in training.

    It stacks the frames in front of the clips and reads the result as clips in front of frames. One clip stays as it
    is. The official auxiliary predictions are in the right order.

    Args:
        predictions (Tensor): Final class logits or mask logits, shape (B, T, ...).

    Returns:
        Tensor: The same frames in the official order, shape (B, T, ...).
    """
    return predictions.transpose(0, 1).reshape(predictions.shape)
