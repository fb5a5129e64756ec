# Copyright (c) The mmvc contributors. All rights reserved.
"""Ground truth of packed samples in the form of the losses: per frame, or per clip with one row per identity."""

from collections.abc import Sequence

import torch
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor


def frame_targets(data_samples: Sequence[TrackDataSample], device: torch.device) -> list[InstanceData]:
    """Collect the entities of each frame.

    Args:
        data_samples (Sequence[TrackDataSample]): B clips of T frames whose ``gt_instances`` hold ``labels``,
            ``instances_ids`` and ``masks`` (:class:`mmdet.BitmapMasks`, padded to the batch's shape).
        device (torch.device): Device of the result.

    Returns:
        list[InstanceData]: B * T elements, the frames of a clip after each other, each with ``labels`` (n,) and
        ``instances_ids`` (n,) int64, and ``masks`` (n, H, W) uint8.
    """
    targets = []
    for frame in (frame for sample in data_samples for frame in sample):
        gt = frame.gt_instances
        targets.append(
            InstanceData(
                labels=gt.labels.to(device),
                instances_ids=gt.instances_ids.to(device),
                masks=gt.masks.to_tensor(dtype=torch.uint8, device=device)))
    return targets


def clip_targets(data_samples: Sequence[TrackDataSample], device: torch.device) -> list[InstanceData]:
    """Collect the entities of each clip, one row per identity.

    Args:
        data_samples (Sequence[TrackDataSample]): As for :func:`frame_targets`.
        device (torch.device): Device of the result.

    Returns:
        list[InstanceData]: B elements, each with ``labels`` (n,) and ``instances_ids`` (n,) int64, ``masks``
        (n, T, H, W) uint8, zero in frames without the object, and ``present`` (n, T) bool. The rows are ordered by
        first appearance, then by their order in that frame.
    """
    targets = []
    for sample in data_samples:
        frames = frame_targets([sample], device)
        ids = torch.cat([frame.instances_ids for frame in frames])
        labels = torch.cat([frame.labels for frame in frames])
        row_of: dict[int, int] = {}
        first_seen = []
        for position, identity in enumerate(ids.tolist()):
            if identity not in row_of:
                row_of[identity] = len(row_of)
                first_seen.append(position)
        masks = torch.zeros((len(row_of), len(frames), *frames[0].masks.shape[-2:]), dtype=torch.uint8, device=device)
        present = torch.zeros((len(row_of), len(frames)), dtype=torch.bool, device=device)
        for t, frame in enumerate(frames):
            rows = [row_of[identity] for identity in frame.instances_ids.tolist()]
            masks[rows, t] = frame.masks
            present[rows, t] = True
        targets.append(
            InstanceData(labels=labels[first_seen], instances_ids=ids[first_seen], masks=masks, present=present))
    return targets


def labelled_frames(data_samples: Sequence[TrackDataSample]) -> list[list[int]] | None:
    """List the labelled frames of clips; those of a dataset with sparse labels have others, too.

    Args:
        data_samples (Sequence[TrackDataSample]): B clips; a frame without labels has ``labelled=False`` in its
            metainfo.

    Returns:
        list[list[int]] | None: For each clip the indices of its labelled frames, ascending; None if all frames are.
    """
    labelled = [[t for t, frame in enumerate(sample) if frame.metainfo.get('labelled', True)]
                for sample in data_samples]
    is_complete = all(len(frames) == len(sample) for frames, sample in zip(labelled, data_samples))
    return None if is_complete else labelled


def flat_positions(labelled: Sequence[Sequence[int]], num_frames: int) -> list[int]:
    """Positions of the labelled frames among the B * T frames of clips that follow one another.

    Args:
        labelled (Sequence[Sequence[int]]): As of :func:`labelled_frames`.
        num_frames (int): Frames T of a clip.
    """
    return [clip * num_frames + t for clip, frames in enumerate(labelled) for t in frames]


def cut_to_labelled(inputs: Tensor, data_samples: Sequence[TrackDataSample], weights: Tensor,
                    labelled: Sequence[Sequence[int]]) -> tuple[Tensor, list[TrackDataSample], Tensor]:
    """Cut a batch to its labelled frames, for a model that learns every frame by itself.

    Args:
        inputs (Tensor): Clips (B, T, ...).
        data_samples (Sequence[TrackDataSample]): Their ground truth.
        weights (Tensor): Weight of each frame, shape (B * T,).
        labelled (Sequence[Sequence[int]]): As of :func:`labelled_frames`.

    Returns:
        tuple[Tensor, list[TrackDataSample], Tensor]: The N labelled frames of all clips one after the other, as one
        clip (1, N, ...), its ground truth, and the weights (N,).
    """
    positions = torch.tensor(flat_positions(labelled, inputs.shape[1]), device=inputs.device)
    frames = [sample[t] for sample, kept in zip(data_samples, labelled) for t in kept]
    return inputs.flatten(0, 1)[positions][None], [TrackDataSample(video_data_samples=frames)], weights[positions]


def get_sample_weights(data_samples: Sequence[TrackDataSample], masked_loss_weight: float,
                       device: torch.device) -> Tensor:
    """Weigh the losses of clips under Masked Video Consistency: lambda for masked clips, 1 for clean ones.

    Args:
        data_samples (Sequence[TrackDataSample]): B clips; a masked one is marked ``masked`` in its frames' metainfo.
        masked_loss_weight (float): lambda.
        device (torch.device): Device of the result.

    Returns:
        Tensor: Shape (B,), float32.
    """
    weights = [masked_loss_weight if sample[0].metainfo.get('masked', False) else 1.0 for sample in data_samples]
    return torch.tensor(weights, dtype=torch.float32, device=device)
