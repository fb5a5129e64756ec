# Copyright (c) The mmvc contributors. All rights reserved.
"""MinVIS: A Minimal Video Instance Segmentation Framework without Video-based Training, arXiv 2208.02245."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.dist import all_reduce, get_world_size
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor

from mmvc.registry import MODELS, TASK_UTILS
from mmvc.utils.errors import DataError
from mmvc.utils.patch_mask import expand_patch_mask

from ..task_modules.postprocessors import VideoPrediction
from ..utils.cpu_inference import CPUInference
from ..utils.feature_store import FeatureStore
from ..utils.masks import decode_masks
from ..utils.query_matching import match_queries, reorder_queries
from ..utils.targets import clip_weights, frame_targets
from .two_passes import PASSES, train_in_two_passes


@MODELS.register_module()
class MinVIS(BaseModel):
    """The segmenter: frames are segmented on their own, and matched to each other by their queries' embeddings.

    It is stage 1 of DVIS++ (with the contrastive loss in its head), and a complete video segmenter by itself.

    Args:
        num_classes (int): Number of classes K, handed to all parts.
        backbone (dict): Config of the backbone.
        head (dict): Config of :class:`FrameQueryHead`.
        postprocessor (dict): Config of the task: :class:`VSSPostprocessor`, :class:`VPSPostprocessor` or
            :class:`VISPostprocessor`.
        masked_loss_weight (float): lambda of Masked Video Consistency: weight of the losses of masked clips. Defaults
            to 1.
        window_size (int): Frames that go through the network at once where no gradient is needed: in testing, and in
            training the frozen parts of later stages. Defaults to 3.
        feature_store (dict): Arguments of :class:`FeatureStore`, which keeps what a video's masks are decoded from
            until its end is known. Defaults to 1 GiB in memory, and the rest on disk.
        data_preprocessor (dict, optional): Config of :class:`VideoSegDataPreprocessor`.
        init_cfg (dict, optional): Initialisation config.
    """

    #: Names of the parts that are trained by earlier stages and stay as they are: no gradient, evaluation mode.
    frozen_parts: tuple[str, ...] = ()
    #: Whether masks depend on earlier frames only, so that a video can be segmented while it is recorded.
    is_online = True

    def __init__(self,
                 num_classes: int,
                 backbone: dict,
                 head: dict,
                 postprocessor: dict,
                 masked_loss_weight: float = 1.0,
                 window_size: int = 3,
                 feature_store: dict = dict(),
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.num_classes = num_classes
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head, default_args=dict(num_classes=num_classes))
        self.postprocessor = TASK_UTILS.build(postprocessor)
        self.masked_loss_weight = masked_loss_weight
        self.window_size = window_size
        self.feature_store = feature_store

    def _freeze(self) -> None:
        """Exclude the parts of earlier stages from training."""
        for name in self.frozen_parts:
            getattr(self, name).requires_grad_(False)

    def train(self, mode: bool = True) -> 'MinVIS':
        """Switch to training mode, all but the frozen parts (their dropout, noise and batch norm stay off)."""
        super().train(mode)
        for name in self.frozen_parts:
            getattr(self, name).eval()
        return self

    def forward(self,
                inputs: Tensor | list[Tensor],
                data_samples: Sequence[TrackDataSample] | None = None,
                mode: str = 'tensor') -> dict[str, Tensor] | Sequence[TrackDataSample]:
        """Unified entry of mmengine's runner.

        Args:
            inputs (Tensor | list[Tensor]): ``'loss'`` and ``'tensor'``: normalised clips (B, T, 3, H, W);
                ``'predict'``: one uint8 video (T, 3, H, W) per sample, any length.
            data_samples (Sequence[TrackDataSample], optional): The samples that belong to them.
            mode (str): ``'loss'``, ``'predict'`` or ``'tensor'``; ``'clean_loss'`` and ``'masked_loss'`` are the two
                passes of the "sum" alone.

        Returns:
            dict | Sequence[TrackDataSample]: Losses, samples with predictions, or the segmenter's raw output.

        Raises:
            ValueError: If the mode is none of these.
        """
        if mode in ('loss', 'predict', *PASSES):
            return getattr(self, mode)(inputs, data_samples)
        if mode == 'tensor':
            return self.segment(cast(Tensor, inputs))
        raise ValueError(f"`mode` is 'loss', 'predict' or 'tensor', got {mode!r}")

    def loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of this stage, with Masked Video Consistency.

        A clip that was masked by its transform has its losses weighted by lambda ("switch", arXiv 2408.10627 Eq. 4). A
        clip that only carries its patch mask is used twice, clean and masked ("sum", arXiv 2406.04979 Eq. 4).

        Args:
            inputs (Tensor): Normalised, padded clips, shape (B, T, 3, H, W).
            data_samples (Sequence[TrackDataSample]): Their ground truth.

        Returns:
            dict[str, Tensor]: Named losses; those of the second, masked pass are named ``masked.*``.
        """
        losses = self.clean_loss(inputs, data_samples)
        if self.has_masked_pass(data_samples):
            losses.update(self.masked_loss(inputs, data_samples))
        return losses

    def clean_loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of the clips as they come; see :meth:`loss`."""
        weights = clip_weights(data_samples, self.masked_loss_weight, inputs.device)
        return self.stage_loss(inputs, data_samples, weights)

    def masked_loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample]) -> dict[str, Tensor]:
        """Losses of the second pass of "sum", where the patches are hidden; see :meth:`loss`."""
        weights = inputs.new_full((len(inputs), ), self.masked_loss_weight, dtype=torch.float32)
        masked = self.stage_loss(inputs.masked_fill(_hidden_pixels(data_samples, inputs), 0.0), data_samples, weights)
        return {f'masked.{name}': value for name, value in masked.items()}

    @staticmethod
    def has_masked_pass(data_samples: Sequence[TrackDataSample]) -> bool:
        """Whether clips of any rank carry patch masks that no transform has applied: the form of the loss is "sum"."""
        frames = [frame.metainfo for sample in data_samples for frame in sample]
        masks = [frame.get('patch_mask') for frame in frames]
        pending = not any(frame.get('masked', False) for frame in frames) and \
            any(mask is not None and mask.any() for mask in masks)
        if get_world_size() == 1:
            return pending
        flag = torch.tensor(float(pending))  # all ranks make the same passes: losses are averaged between them
        all_reduce(flag, 'max')
        return bool(flag)

    def train_step(self, data: dict | tuple | list, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """A training step in the memory of one pass, also where the loss is a "sum" of two.

        Args:
            data (dict | tuple | list): A batch of the data loader.
            optim_wrapper (OptimWrapper): Updates the parameters.

        Returns:
            dict[str, Tensor]: Losses for the log.
        """
        return train_in_two_passes(self, self, data, optim_wrapper)

    def stage_loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample],
                   weights: Tensor) -> dict[str, Tensor]:
        """Losses of the part that this stage trains.

        Args:
            inputs (Tensor): Normalised, padded clips, shape (B, T, 3, H, W).
            data_samples (Sequence[TrackDataSample]): Their ground truth.
            weights (Tensor): Weight of each clip's losses, shape (B,).

        Returns:
            dict[str, Tensor]: Named losses.
        """
        num_frames = inputs.shape[1]
        return self.head.loss(
            self.backbone(inputs.flatten(0, 1)),
            frame_targets(data_samples, inputs.device),
            num_frames,
            sample_weights=weights.repeat_interleave(num_frames))

    def segment(self, inputs: Tensor) -> dict[str, Tensor]:
        """Segment clips frame by frame, in windows of ``window_size`` frames.

        Args:
            inputs (Tensor): Normalised, padded clips, shape (B, T, 3, H, W).

        Returns:
            dict[str, Tensor]: The tensors of :meth:`FrameQueryHead.forward`, each of shape (B, T, ...).
        """
        size = _frames_at_once(inputs, self.window_size)
        with CPUInference():
            return join_windows([self._segment_window(frames) for frames in inputs.split(size, dim=1)])

    def _segment_window(self, frames: Tensor) -> dict[str, Tensor]:
        """Segment all frames at once; see :meth:`segment`."""
        out = self.head(self.backbone(frames.flatten(0, 1)))
        out.pop('aux')
        return {name: value.unflatten(0, frames.shape[:2]) for name, value in out.items()}

    def predict(self, inputs: list[Tensor], data_samples: Sequence[TrackDataSample]) -> Sequence[TrackDataSample]:
        """Segment videos.

        Args:
            inputs (list[Tensor]): uint8 videos, each of shape (T, 3, H, W), any length.
            data_samples (Sequence[TrackDataSample]): One per video.

        Returns:
            Sequence[TrackDataSample]: The same samples; their frames carry the task's prediction.
        """
        for video, sample in zip(inputs, data_samples):
            prediction = self.predict_video(video.split(self.window_size), tuple(sample[0].ori_shape[:2]))
            self.postprocessor(prediction, sample)
        return data_samples

    @torch.no_grad()
    def predict_video(self, windows: Iterable[Tensor], ori_shape: tuple[int, int]) -> VideoPrediction:
        """Segment a video that comes in windows, up to the decoding of its masks.

        Args:
            windows (Iterable[Tensor]): uint8 frames (t, 3, H, W); they are taken one window after the other, and the
                result does not depend on their sizes.
            ori_shape (tuple[int, int]): Height and width that the masks are wanted in.

        Returns:
            VideoPrediction: What the task's post-processor takes.

        Raises:
            DataError: There is no window.
        """
        followed, masks = [], FeatureStore(**self.feature_store)
        for out, padded_shape, img_shape in self._follow_windows(windows):
            masks.extend(out.pop('mask_features')[0])
            followed.append(out)
            shapes = padded_shape, img_shape
        if not followed:
            raise DataError('a video without frames cannot be segmented: check that its file or folder is complete')
        with CPUInference():
            class_probs, mask_embeds = self.conclude(join_windows(followed))
        return VideoPrediction(class_probs, mask_embeds, masks, *shapes, ori_shape)

    @torch.no_grad()
    def stream(self, windows: Iterable[Tensor], ori_shape: tuple[int, int]) -> Iterator[DetDataSample]:
        """Segment a video whose end is not known: every frame at once, in memory that does not grow.

        Class scores are the softmax of the mean logits of the frames so far; :meth:`predict` has the mean of all.

        Args:
            windows (Iterable[Tensor]): uint8 frames (t, 3, H, W); one at a time has the least delay.
            ori_shape (tuple[int, int]): Height and width that the masks are wanted in.

        Yields:
            DetDataSample: The next frame's prediction.

        Raises:
            TypeError: The model needs the whole video.
        """
        if not self.is_online:
            raise TypeError(f'{type(self).__name__} refines a video as a whole and cannot stream: use predict() or '
                            'the DVISOnline stage of the same model')
        sum_of_logits, num_frames, segment = 0., 0, self.postprocessor.start_stream()
        for out, padded_shape, img_shape in self._follow_windows(windows):
            for cls_scores, masks in zip(out['cls_scores'][0], out['mask_features'][0]):
                sum_of_logits, num_frames = sum_of_logits + cls_scores.float(), num_frames + 1
                class_probs = (sum_of_logits / num_frames).softmax(dim=-1)
                yield segment(VideoPrediction(class_probs, None, masks[None], padded_shape, img_shape, ori_shape))

    def _follow_windows(
            self, windows: Iterable[Tensor]) -> Iterator[tuple[dict[str, Tensor], tuple[int, int], tuple[int, int]]]:
        """Yield what :meth:`follow` returns for uint8 windows, and the frames' size with and without padding."""
        state = None
        for frames in windows:
            prepared = self.data_preprocessor.prepare_frames(frames)
            padded_shape, img_shape = prepared.shape[-2:], frames.shape[-2:]
            for part in prepared.split(_frames_at_once(prepared, len(frames)), dim=1):
                with CPUInference():
                    out, state = self.follow(self._segment_window(part), state)
                yield out, (padded_shape[0], padded_shape[1]), (img_shape[0], img_shape[1])

    def follow(self, segmented: dict[str, Tensor], state: Any = None) -> tuple[dict[str, Tensor], Any]:
        """Continue the objects of a video in its next window.

        Args:
            segmented (dict[str, Tensor]): Output of :meth:`segment` for the window, batch size 1.
            state (Any): What was returned with the window before. Defaults to None: the first one.

        Returns:
            tuple[dict, Any]: What :meth:`conclude` needs of the window, in the objects' order, each of shape (1, t,
            ...), among it ``mask_features``, what masks are decoded from: the mask logits (1, t, Q, h, w) themselves;
            and the state for the next call.
        """
        query_embeds = segmented['query_embeds'][0]
        order = []
        for embeds in query_embeds:
            if state is None:
                order.append(torch.arange(len(embeds), device=embeds.device)[None])
            else:
                order.append(match_queries(state, embeds[None]))
            state = reorder_queries(embeds[None], order[-1])
        orders = torch.cat(order)
        cls_scores = reorder_queries(segmented['cls_scores'][0], orders)
        mask_embeds = reorder_queries(segmented['mask_embeds'][0], orders)
        masks = decode_masks(mask_embeds, segmented['mask_features'][0])
        return dict(cls_scores=cls_scores[None], mask_features=masks[None]), state

    def conclude(self, followed: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Decide about the objects of a video when all of it was seen.

        Args:
            followed (dict[str, Tensor]): What :meth:`follow` returned, the windows joined, without the mask features.

        Returns:
            tuple[Tensor, Tensor | None]: Class probabilities (Q, K + 1) of the objects, and their mask embeddings (T,
            Q, c), or None if the mask features are the masks already.
        """
        return followed['cls_scores'][0].float().mean(dim=0).softmax(dim=-1), None


def _frames_at_once(inputs: Tensor, window_size: int) -> int:
    """Length of the windows to take (B, T, 3, H, W) apart into: on CPU more than a frame only falls out of the caches.

    The results are the same.
    """
    return 1 if inputs.device.type == 'cpu' and not torch.is_grad_enabled() else window_size


def join_windows(windows: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Join the tensors (B, t, ...) of consecutive windows along time. Takes them out: no video is held twice."""
    return {name: torch.cat([window.pop(name) for window in windows], dim=1) for name in list(windows[0])}


def _hidden_pixels(data_samples: Sequence[TrackDataSample], inputs: Tensor) -> Tensor:
    """Pixels to hide in the second pass of the "sum" loss: bool (B, T, 1, H, W)."""
    frames = [frame for sample in data_samples for frame in sample]
    height, width = inputs.shape[-2:]
    hidden = torch.zeros((len(frames), 1, height, width), dtype=torch.bool)
    for pixels, frame in zip(hidden, frames):
        mask = frame.metainfo.get('patch_mask')
        if mask is not None:  # clips of another dataset may come without one
            h, w = frame.img_shape[:2]
            pixels[0, :h, :w] = torch.from_numpy(expand_patch_mask(mask, frame.patch_size, h, w))
    return hidden.view(*inputs.shape[:2], 1, height, width).to(inputs.device)
