# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from torch import Tensor

from mmvc.registry import MODELS
from mmvc.utils.errors import naming_video

from ..task_modules.postprocessors import VideoPrediction, VSSPostprocessor
from ..utils.feature_store import FeatureStore
from ..video_segmentors import BaseVideoSegmentor
from .voting import majority_vote, soft_vote, vote_margin

VOTINGS = ('majority', 'soft')


@MODELS.register_module()
class VideoSegTTAModel(BaseTTAModel):
    """Test-time augmentation of video semantic segmentation by voting (arXiv 2406.04979, Sec. 3 and Eq. 8).

    The model segments one augmented video after the other. :class:`AugmentOnDemand` makes the augmented frames window
    by window; a model of another package gets all its frames at once. Then the predictions are merged frame by frame:

    - ``'majority'``: the most frequent class of the label maps (8 bits per pixel and prediction), see
      :func:`majority_vote`; on a tie, the prediction for the input of the highest resolution decides. It works with
      any model that predicts ``pred_sem_seg``.
    - ``'soft'``: the class of the highest mean probability, see :func:`soft_vote`. Each augmented video is kept as a
      :class:`VideoPrediction`, all of them together within the limit of the model's ``feature_store``; class scores
      are computed for one frame and one augmentation at a time. It needs a model of this package with a
      :class:`VSSPostprocessor`.

    Args:
        voting (str): ``'majority'`` or ``'soft'``. Defaults to ``'majority'``.
        with_margin (bool): Whether ``pred_sem_seg`` gets ``margin``, see :func:`vote_margin`; only with majority
            voting. Defaults to False.
        **kwargs: ``module``, the model or its config, and other arguments of :class:`mmengine.model.BaseTTAModel`.

    Raises:
        ValueError: ``voting`` is neither of the two, or ``with_margin`` is set with soft voting.
        TypeError: The model has no :class:`VSSPostprocessor`, which soft voting needs.

    Example:
        >>> model = VideoSegTTAModel(module=segmentor)  # doctest: +SKIP
        >>> samples = model.test_step(batch_of_a_pipeline_with_TestTimeAug)
    """

    def __init__(self, voting: str = 'majority', with_margin: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if voting not in VOTINGS:
            raise ValueError(f'voting = {voting!r}: expected one of {", ".join(VOTINGS)}')
        if with_margin and voting == 'soft':
            raise ValueError("with_margin=True needs votes, which soft voting does not count: use voting='majority'")
        self.voting = voting
        self.with_margin = with_margin
        if voting == 'soft' and not isinstance(getattr(self.module, 'postprocessor', None), VSSPostprocessor):
            raise TypeError(f'soft voting needs a model with a VSSPostprocessor, and {type(self.module).__name__} '
                            "has none: use voting='majority'")

    def test_step(self, data: dict) -> list[TrackDataSample]:
        """Predict each augmentation and merge the predictions.

        Args:
            data (dict): ``inputs`` and ``data_samples``, for each augmentation a list of B videos.

        Returns:
            list[TrackDataSample]: See :meth:`merge_preds`.
        """
        augmentations = list(zip(data['inputs'], data['data_samples']))
        if self.voting == 'majority':
            predictions = [self._predict(*augmentation) for augmentation in augmentations]
        else:
            # all predictions of a video are kept at once: they share the limit
            limit = FeatureStore(**self.module.feature_store).memory_limit / len(augmentations)
            predictions = [self._predict_raw(*augmentation, limit) for augmentation in augmentations]
        return self.merge_preds(list(zip(*predictions)))

    def _predict(self, videos: Sequence[Any], samples: Sequence[TrackDataSample]) -> Sequence[TrackDataSample]:
        """Predict B videos of one augmentation: tensors, or :class:`AugmentedVideo` objects."""
        if all(isinstance(video, Tensor) for video in videos):
            return self.module.test_step(dict(inputs=videos, data_samples=samples))
        if not isinstance(self.module, BaseVideoSegmentor):
            inputs = [video.load() for video in videos]
            return self.module.test_step(dict(inputs=inputs, data_samples=samples))
        return self.module.predict(list(videos), samples)

    def _predict_raw(self, videos: Sequence[Any], samples: Sequence[TrackDataSample],
                     memory_limit: float) -> Sequence[TrackDataSample]:
        """Give each of B videos of one augmentation its raw prediction as ``video_prediction``."""
        if all(isinstance(video, Tensor) for video in videos):
            data = self.module.data_preprocessor(dict(inputs=videos, data_samples=samples), False)
            videos, samples = data['inputs'], data['data_samples']
        for video, sample in zip(videos, samples):
            store = FeatureStore(**dict(self.module.feature_store, memory_limit=memory_limit))
            windows, ori_shape = video.split(self.module.window_size), tuple(sample[0].ori_shape[:2])
            with naming_video(str(sample[0].get('video_id', sample[0].get('img_path')))):
                prediction = self.module.predict_video(windows, ori_shape, store)
            sample.set_field(prediction, 'video_prediction', field_type='data')
        return samples

    def merge_preds(self, data_samples_list: Sequence[Sequence[TrackDataSample]]) -> list[TrackDataSample]:
        """Merge the predictions of each video.

        Args:
            data_samples_list (Sequence[Sequence[TrackDataSample]]): B videos, each with the samples of its n
                augmentations.

        Returns:
            list[TrackDataSample]: The sample of each video's first augmentation. Its frames have the merged
            ``pred_sem_seg``, in the form of :class:`VSSPostprocessor`.
        """
        merge = self._majority if self.voting == 'majority' else self._soft
        merged = []
        for samples in data_samples_list:
            for frame, prediction in zip(samples[0], merge(samples)):
                frame.pred_sem_seg = prediction
            merged.append(samples[0])
        return merged

    def _majority(self, samples: Sequence[TrackDataSample]) -> Iterator[PixelData]:
        """Yield label maps (1, H, W), with margins if ``with_margin`` is set."""
        for frames in zip(*samples):
            maps = []
            for frame in frames:
                if 'pred_sem_seg' not in frame:
                    raise TypeError('the model predicts no pred_sem_seg: voting is for video semantic segmentation')
                maps.append(unflip(frame.pred_sem_seg.sem_seg, frame))
            winner = majority_vote(maps, [input_pixels(frame) for frame in frames])
            for frame in frames:
                del frame.pred_sem_seg  # frees memory frame by frame
            yield PixelData(sem_seg=winner, margin=vote_margin(maps, winner)) if self.with_margin else \
                PixelData(sem_seg=winner)

    @staticmethod
    def _soft(samples: Sequence[TrackDataSample]) -> Iterator[PixelData]:
        """Yield label maps (1, H, W)."""
        predictions = [sample.pop('video_prediction') for sample in samples]
        dtype = torch.uint8 if predictions[0].class_probs.shape[1] <= 257 else torch.int64  # one is the empty class
        scores_of = [class_scores(prediction) for prediction in predictions]
        for frames in zip(*samples):
            # a generator: only the scores of one prediction are in memory besides their sum
            scores = (unflip(next(scores), frame) for scores, frame in zip(scores_of, frames))
            yield PixelData(sem_seg=soft_vote(scores)[None].to(dtype).cpu())


def class_scores(prediction: VideoPrediction) -> Iterator[Tensor]:
    """Yield each frame's class scores, the sum over queries of p(class | query) x mask: float (K, H, W)."""
    class_probs = prediction.class_probs[:, :-1]
    for masks in prediction.frames():
        yield (class_probs.T @ masks.flatten(1)).unflatten(1, masks.shape[-2:])


def unflip(maps: Tensor, frame: DetDataSample) -> Tensor:
    """Flip maps (..., H, W) back if the frame's metainfo says that they are flipped."""
    if not frame.get('flip', False):
        return maps
    axes: tuple[int, ...] = dict(horizontal=(-1, ), vertical=(-2, ), diagonal=(-2, -1))[frame.flip_direction]
    return maps.flip(axes)


def input_pixels(frame: DetDataSample) -> int:
    """Number of pixels of the network's input, without padding."""
    height, width = frame.img_shape[:2]
    return height * width
