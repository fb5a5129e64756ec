# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Iterator

from mmengine.dataset import BaseDataset
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmvc.registry import DATA_SAMPLERS
from mmvc.utils.errors import DataError


@DATA_SAMPLERS.register_module()
class WholeVideoSampler(Sampler):
    """Yields all frames in order, with each video on a single rank. For testing image models with video metrics.

    Each rank gets consecutive videos, with about the same number of frames. No frame is repeated.

    Args:
        dataset (BaseDataset): Dataset of frames whose data info has ``video_length``, such as
            :class:`VSPWImageDataset`. The frames of a video must be consecutive.
        seed (int, optional): Not used; the runner passes it to every sampler.

    Raises:
        DataError: The dataset lacks frames of a video.
    """

    def __init__(self, dataset: BaseDataset, seed: int | None = None) -> None:
        rank, world_size = get_dist_info()
        starts = self._video_starts(dataset)
        # a video belongs to the rank whose share of the frames contains its first frame
        rank_of = [start * world_size // len(dataset) for start in starts]
        bounds = [*starts, len(dataset)]
        self.indices = [
            index for video, owner in enumerate(rank_of) if owner == rank
            for index in range(bounds[video], bounds[video + 1])
        ]

    @staticmethod
    def _video_starts(dataset: BaseDataset) -> list[int]:
        starts, index = [], 0
        while index < len(dataset):
            starts.append(index)
            info = dataset.get_data_info(index)
            index += info['video_length']
            if index > len(dataset) or dataset.get_data_info(index - 1).get('video_id') != info.get('video_id'):
                raise DataError(f'WholeVideoSampler: the dataset does not have all {info["video_length"]} frames of '
                                f'video "{info.get("video_id")}"; remove "indices" from the config of the dataset')
        return starts

    def __iter__(self) -> Iterator[int]:
        """Iterate over the indices of this rank's frames."""
        return iter(self.indices)

    def __len__(self) -> int:
        """Number of this rank's frames."""
        return len(self.indices)

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the order is the same in every epoch."""
