# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from torch import Tensor

from mmvc.models.tta.voting import majority_vote, soft_vote, vote_margin
from mmvc.registry import MODELS
from mmvc.utils.augmented_video import AugmentedVideo

from ..task_modules.postprocessors import VideoPrediction, VSSPostprocessor
from ..utils.feature_store import FeatureStore
from ..video_segmentors import MinVIS

VOTINGS = ('majority', 'soft')


@MODELS.register_module()
class VideoSegTTAModel(BaseTTAModel):
    """Test-time augmentation of video semantic segmentation by voting (arXiv 2406.04979, Sec. 3 and Eq. 8).

    Each augmented video goes through the model alone, made window by window from the frames as they were loaded (see
    :class:`AugmentOnDemand`; a model of another package gets all its frames at once). Then the frames are merged one
    after the other:

    - ``'majority'``: of the model's label maps (8 bits per pixel and prediction) the most frequent class, see
      :func:`majority_vote`; a tie goes to the prediction of the highest-resolution input. For any model that predicts
      ``pred_sem_seg``.
    - ``'soft'``: the class of the highest mean probability, see :func:`soft_vote`. Class scores exist of one frame and
      one augmentation at a time; what is kept of each augmented video is its :class:`VideoPrediction`, all of them
      together within the limit that the model's ``feature_store`` sets. For models of this package with a
      :class:`VSSPostprocessor`.

    Args:
        voting (str): ``'majority'`` or ``'soft'``. Defaults to ``'majority'``.
        with_margin (bool): Whether ``pred_sem_seg`` gets ``margin``, see :func:`vote_margin`, for majority voting.
            Defaults to False.
        **kwargs: ``module``, the model or its config, and others of :class:`mmengine.model.BaseTTAModel`.

    Raises:
        ValueError: ``voting`` is none of these, or margins are asked of soft voting.
        TypeError: Soft voting is asked for and the model has no :class:`VSSPostprocessor`.

    Example:
        >>> model = VideoSegTTAModel(module=segmentor)  # doctest: +SKIP
        >>> samples = model.test_step(batch_of_a_pipeline_with_TestTimeAug)
    """

    def __init__(self, voting: str = 'majority', with_margin: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if voting not in VOTINGS:
            raise ValueError(f'voting = {voting!r}: expected one of {", ".join(VOTINGS)}')
        if with_margin and voting == 'soft':
            raise ValueError("margins are those of votes: use voting='majority'")
        self.voting = voting
        self.with_margin = with_margin
        if voting == 'soft':
            if not isinstance(getattr(self.module, 'postprocessor', None), VSSPostprocessor):
                raise TypeError(f'soft voting needs a model with a VSSPostprocessor, and {type(self.module).__name__} '
                                "has none: use voting='majority'")
            self.module.postprocessor = keep_prediction

    def test_step(self, data: dict) -> list[TrackDataSample]:
        """Predict each augmentation and merge the predictions.

        Args:
            data (dict): ``inputs`` and ``data_samples``, for each augmentation a list of B videos.

        Returns:
            list[TrackDataSample]: See :meth:`merge_preds`.
        """
        augmentations = list(zip(data['inputs'], data['data_samples']))
        settings: dict | None = getattr(self.module, 'feature_store', None)
        if self.voting == 'soft' and settings is not None:  # all predictions of a video are kept at once
            limit = FeatureStore(**settings).memory_limit / len(augmentations)
            self.module.feature_store = dict(settings, memory_limit=limit)
        try:
            predictions = [self._predict(*augmentation) for augmentation in augmentations]
        finally:
            if settings is not None:
                self.module.feature_store = settings
        return self.merge_preds(list(zip(*predictions)))

    def _predict(self, videos: Sequence[Any], samples: Sequence[TrackDataSample]) -> Sequence[TrackDataSample]:
        """Predict B videos of one augmentation."""
        if not all(isinstance(video, AugmentedVideo) for video in videos):
            return self.module.test_step(dict(inputs=videos, data_samples=samples))
        if not isinstance(self.module, MinVIS):
            inputs = [video.load() for video in videos]
            return self.module.test_step(dict(inputs=inputs, data_samples=samples))
        return self.module.predict(list(videos), samples)

    def merge_preds(self, data_samples_list: Sequence[Sequence[TrackDataSample]]) -> list[TrackDataSample]:
        """Merge the predictions of each video.

        Args:
            data_samples_list (Sequence[Sequence[TrackDataSample]]): B videos, the samples of their n augmentations.

        Returns:
            list[TrackDataSample]: The sample of each video's first augmentation; its frames have the merged
            ``pred_sem_seg``, as of :class:`VSSPostprocessor`.
        """
        merge = self._majority if self.voting == 'majority' else self._soft
        merged = []
        for samples in data_samples_list:
            for frame, prediction in zip(samples[0], merge(samples)):
                frame.pred_sem_seg = prediction
            merged.append(samples[0])
        return merged

    def _majority(self, samples: Sequence[TrackDataSample]) -> Iterator[PixelData]:
        """Yield label maps (1, H, W), with margins if asked for."""
        for frames in zip(*samples):
            maps = []
            for frame in frames:
                if 'pred_sem_seg' not in frame:
                    raise TypeError('the model predicts no pred_sem_seg: voting is for video semantic segmentation')
                maps.append(unflip(frame.pred_sem_seg.sem_seg, frame))
            winner = majority_vote(maps, [input_pixels(frame) for frame in frames])
            for frame in frames:
                del frame.pred_sem_seg  # memory is free again frame by frame
            yield PixelData(sem_seg=winner, margin=vote_margin(maps, winner)) if self.with_margin else \
                PixelData(sem_seg=winner)

    @staticmethod
    def _soft(samples: Sequence[TrackDataSample]) -> Iterator[PixelData]:
        """Yield label maps (1, H, W)."""
        predictions = [sample.pop('video_prediction') for sample in samples]
        dtype = torch.uint8 if predictions[0].class_probs.shape[1] <= 257 else torch.int64  # one is the empty class
        scores_of = [class_scores(prediction) for prediction in predictions]
        for frames in zip(*samples):
            # one after the other: the scores of one prediction are in memory besides their sum
            scores = (unflip(next(scores), frame) for scores, frame in zip(scores_of, frames))
            yield PixelData(sem_seg=soft_vote(scores)[None].to(dtype).cpu())


def class_scores(prediction: VideoPrediction) -> Iterator[Tensor]:
    """Yield each frame's class scores, sum over queries of p(class | query) x mask: float (K, H, W)."""
    class_probs = prediction.class_probs[:, :-1]
    for masks in prediction.frames():
        yield (class_probs.T @ masks.flatten(1)).unflatten(1, masks.shape[-2:])


def keep_prediction(prediction: VideoPrediction, data_sample: TrackDataSample) -> None:
    """Take the place of a post-processor: put the raw prediction aside."""
    data_sample.set_field(prediction, 'video_prediction', field_type='data')


def unflip(maps: Tensor, frame: DetDataSample) -> Tensor:
    """Mirror maps (..., H, W) back, as the frame's metainfo says."""
    if not frame.get('flip', False):
        return maps
    axes: tuple[int, ...] = dict(horizontal=(-1, ), vertical=(-2, ), diagonal=(-2, -1))[frame.flip_direction]
    return maps.flip(axes)


def input_pixels(frame: DetDataSample) -> int:
    """Pixels of the network's input, without padding."""
    height, width = frame.img_shape[:2]
    return height * width
