# Copyright (c) The mmvc contributors. All rights reserved.
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.dist import all_reduce, get_world_size
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmvc.registry import TASK_UTILS
from mmvc.utils.arguments import check_number
from mmvc.utils.errors import DataError, naming_video

from ..cpu.inference import CPUInference
from ..task_modules.postprocessors.video_prediction import VideoPrediction, require_no_nan
from ..utils.feature_store import FeatureStore
from ..utils.keyframes import KeyframeStore, PropagatedMasks, split_at_keyframes
from ..utils.targets import get_sample_weights
from .clip_parts import pixels_to_hide, select_frames, share_of_labels
from .two_passes import CLEAN, MASKED, Chunk, train_pass_by_pass
from .windows import ProcessedWindow, join_windows, max_frames_at_once


class BaseVideoSegmentor(BaseModel):
    """Base class of models that segment videos of any length, window by window.

    It trains with Masked Video Consistency, predicts videos and streams, and leaves to its children how frames become
    masks:

    - :meth:`stage_loss` computes the losses of a batch,
    - :meth:`segment` gives the raw output for clips (mode ``'tensor'``),
    - :meth:`process_window` processes the next frames of a video, with a state from the frames before,
    - :meth:`finalize`, where masks need the whole video, decides about the objects at its end.

    Args:
        num_classes (int): Number of classes K.
        postprocessor (dict): Config of the task: :class:`VSSPostprocessor`, :class:`VPSPostprocessor` or
            :class:`VISPostprocessor`.
        masked_loss_weight (float): lambda of Masked Video Consistency: weight of the losses of masked clips. Defaults
            to 1.
        window_size (int): Frames that go through the network at once without gradients: in testing, and in training
            the frozen parts of later stages. Defaults to 3.
        feature_store (dict): Arguments of :class:`FeatureStore`, which keeps the mask features of a video until its
            end. Defaults to 1 GiB in memory, and the rest on disk.
        keyframe_interval (int): Only every so many frames of a video pass through the network, and those that the
            frame before does not explain, such as the first one of a scene. The masks of a keyframe are moved to the
            frames after it along optical flow; classes and identities come from the keyframes alone. Defaults to 1:
            all frames.
        data_preprocessor (dict, optional): Config of :class:`VideoSegDataPreprocessor`.
        init_cfg (dict, optional): Initialisation config.
    """

    #: Names of the modules that earlier stages have trained. They get no gradient and stay in evaluation mode.
    frozen_parts: tuple[str, ...] = ()
    #: Whether masks depend on earlier frames only, so that :meth:`stream` works. Every child says so for itself.
    is_online: bool

    def __init__(self,
                 num_classes: int,
                 postprocessor: dict,
                 masked_loss_weight: float = 1.0,
                 window_size: int = 3,
                 feature_store: dict = dict(),
                 keyframe_interval: int = 1,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        check_number('window_size', window_size, 1, whole=True)
        check_number('keyframe_interval', keyframe_interval, 1, whole=True)
        self.num_classes = num_classes
        self.postprocessor = TASK_UTILS.build(postprocessor)
        self.masked_loss_weight = masked_loss_weight
        self.window_size = window_size
        self.feature_store = feature_store
        self.keyframe_interval = keyframe_interval

    @abstractmethod
    def stage_loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample],
                   sample_weights: Tensor) -> dict[str, Tensor]:
        """Compute the losses of the modules that this stage trains.

        Args:
            inputs (Tensor): Normalised, padded clips, shape (B, T, 3, H, W).
            data_samples (Sequence[TrackDataSample]): Their ground truth.
            sample_weights (Tensor): Weight of each clip's losses, shape (B,).

        Returns:
            dict[str, Tensor]: Named losses.
        """

    @abstractmethod
    def segment(self, inputs: Tensor) -> dict[str, Tensor]:
        """Compute the raw output for clips.

        Args:
            inputs (Tensor): Normalised, padded clips, shape (B, T, 3, H, W).

        Returns:
            dict[str, Tensor]: Tensors of shape (B, T, ...).
        """

    @abstractmethod
    def process_window(self, frames: Tensor, state: Any = None) -> tuple[dict[str, Tensor], Any]:
        """Process the next frames of a video.

        Args:
            frames (Tensor): Normalised, padded frames, shape (1, t, 3, H, W).
            state (Any): State returned for the window before. Defaults to None: the video begins.

        Returns:
            tuple[dict[str, Tensor], Any]: Tensors of shape (1, t, ...) that :meth:`finalize` needs, and the state for
            the next window. Tensors must not be views of larger ones, since they are kept to the end of the video. One
            of them is ``mask_features``: mask logits (1, t, Q, h, w), or the features (1, t, c, h, w) from which masks
            are decoded once :meth:`finalize` has given the mask embeddings. An online model returns mask logits, and
            class logits ``cls_scores`` (1, t, Q, K + 1).
        """

    def finalize(self, outputs: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Decide about the objects of a video at its end. By default, average their class logits over the video.

        Args:
            outputs (dict[str, Tensor]): Tensors of :meth:`process_window` except ``mask_features``, joined over time:
                shape (1, T, ...).

        Returns:
            tuple[Tensor, Tensor | None]: Class probabilities (Q, K + 1) of the objects, and their mask embeddings (T,
            Q, c), or None if ``mask_features`` are mask logits.
        """
        return outputs['cls_scores'][0].float().mean(dim=0).softmax(dim=-1), None

    def final_steps(self) -> Sequence[nn.Module]:
        """Modules that :meth:`finalize` calls one after the other, each of which takes long on a long video."""
        return ()

    @abstractmethod
    def optimize_for_inference(self, compile: bool = False) -> None:
        """Replace modules by faster forms with the same results. The state dict may get other names.

        Args:
            compile (bool): Whether to compile modules with :func:`torch.compile`: a minute or more at first, then
                faster. Defaults to False.
        """

    def _freeze(self) -> None:
        """Exclude the frozen parts from training."""
        for name in self.frozen_parts:
            getattr(self, name).requires_grad_(False)

    def train(self, mode: bool = True) -> 'BaseVideoSegmentor':
        """Switch to training mode, except the frozen parts: their dropout, noise and batch norm stay off."""
        super().train(mode)
        for name in self.frozen_parts:
            getattr(self, name).eval()
        return self

    def forward(self,
                inputs: Tensor | list[Tensor],
                data_samples: Sequence[TrackDataSample] | None = None,
                mode: str = 'tensor',
                passes: tuple[str, ...] | None = None,
                chunk: Chunk | None = None) -> dict[str, Tensor] | Sequence[TrackDataSample]:
        """Entry point of mmengine's runner.

        Args:
            inputs (Tensor | list[Tensor]): For ``'loss'`` and ``'tensor'``, normalised clips (B, T, 3, H, W); for
                ``'predict'``, one uint8 video (T, 3, H, W) of any length per sample.
            data_samples (Sequence[TrackDataSample], optional): The samples that belong to them.
            mode (str): ``'loss'``, ``'predict'`` or ``'tensor'``.
            passes (tuple[str, ...], optional): See :meth:`loss`. Only ``'loss'`` uses it.
            chunk (Chunk, optional): See :meth:`loss`. Only ``'loss'`` uses it.

        Returns:
            dict | Sequence[TrackDataSample]: Losses, samples with predictions, or raw output.

        Raises:
            ValueError: The mode is unknown.
        """
        if mode == 'loss':
            return self.loss(cast(Tensor, inputs), cast(Sequence[TrackDataSample], data_samples), passes, chunk)
        if mode == 'predict':
            return self.predict(cast(list[Tensor], inputs), cast(Sequence[TrackDataSample], data_samples))
        if mode == 'tensor':
            return self.segment(cast(Tensor, inputs))
        raise ValueError(f"`mode` is 'loss', 'predict' or 'tensor', got {mode!r}")

    def loss(self,
             inputs: Tensor,
             data_samples: Sequence[TrackDataSample],
             passes: tuple[str, ...] | None = None,
             chunk: Chunk | None = None) -> dict[str, Tensor]:
        """Compute the losses of this stage, with Masked Video Consistency.

        The losses of a clip that a transform has masked are weighted by lambda ("switch", arXiv 2408.10627 Eq. 4). A
        clip that only carries its patch mask is used twice, clean and masked ("sum", arXiv 2406.04979 Eq. 4).

        Args:
            inputs (Tensor): Normalised, padded clips, shape (B, T, 3, H, W).
            data_samples (Sequence[TrackDataSample]): Their ground truth.
            passes (tuple[str, ...], optional): Which of the passes ``'clean'`` and ``'masked'`` to make. Defaults to
                None: those of :meth:`agree_on_passes`, which all ranks must then call together.
            chunk (Chunk, optional): The frames whose losses to compute, one of :meth:`chunks`. Defaults to None: all.

        Returns:
            dict[str, Tensor]: Named losses; those of the masked pass begin with ``masked.``.
        """
        losses: dict[str, Tensor] = {}
        for name in self.agree_on_passes(data_samples) if passes is None else passes:
            for part in self.chunks(inputs) if chunk is None else [chunk]:
                for key, value in self._part_loss(inputs, data_samples, name, part).items():
                    losses[key] = losses[key] + value if key in losses else value
        return losses

    def _part_loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample], name: str,
                   chunk: Chunk | None) -> dict[str, Tensor]:
        """Compute the losses of a pass over a chunk of frames, or over all of them."""
        carried: dict[str, Any] = {}
        share: float | Tensor = 1.0
        if chunk is not None:
            inputs, carried = inputs[:, chunk.frames], dict(carried=chunk.carried)
            chunk.carried.clips = data_samples
            data_samples = [select_frames(sample, chunk.frames) for sample in data_samples]
            share = share_of_labels(data_samples, chunk.carried.clips, inputs.device)
        if name == MASKED:
            sample_weights = inputs.new_full((len(inputs), ), self.masked_loss_weight, dtype=torch.float32)
            inputs = inputs.masked_fill(pixels_to_hide(data_samples, inputs), 0.0)
        else:
            sample_weights = get_sample_weights(data_samples, self.masked_loss_weight, inputs.device)
        losses = self.stage_loss(inputs, data_samples, sample_weights, **carried)
        prefix = 'masked.' if name == MASKED else ''
        return {f'{prefix}{key}': value if chunk is None else share * value for key, value in losses.items()}

    def chunks(self, inputs: Tensor) -> Sequence[Chunk | None]:
        """Cut clips (B, T, 3, H, W) into chunks of frames, each of which has a backward pass of its own.

        By default, there is one pass over all frames: ``[None]``. A model that trains in chunks gets what they carry
        as argument ``carried`` of :meth:`stage_loss`.
        """
        return [None]

    @staticmethod
    def agree_on_passes(data_samples: Sequence[TrackDataSample]) -> tuple[str, ...]:
        """Decide with all ranks which passes they make over their batches.

        This is a collective: all ranks must call it, once per step. They make the same passes because losses are
        averaged between them.

        Args:
            data_samples (Sequence[TrackDataSample]): Samples of this rank's batch.

        Returns:
            tuple[str, ...]: ``('clean', 'masked')`` if the clips of any rank carry patch masks that no transform has
            applied (the form "sum"), otherwise ``('clean', )``.
        """
        frames = [frame.metainfo for sample in data_samples for frame in sample]
        masks = [frame.get('patch_mask') for frame in frames]
        has_masked_pass = not any(frame.get('masked', False) for frame in frames) and \
            any(mask is not None and mask.any() for mask in masks)
        if get_world_size() > 1:
            flag = torch.tensor(float(has_masked_pass))
            all_reduce(flag, 'max')
            has_masked_pass = bool(flag)
        return (CLEAN, MASKED) if has_masked_pass else (CLEAN, )

    def train_step(self, data: dict | tuple | list, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Train on a batch, in the memory of one pass also if there are two.

        Args:
            data (dict | tuple | list): A batch of the data loader.
            optim_wrapper (OptimWrapper): Updates the parameters.

        Returns:
            dict[str, Tensor]: Losses for the log.
        """
        return train_pass_by_pass(self, self, data, optim_wrapper)

    def predict(self, inputs: Sequence[Any], data_samples: Sequence[TrackDataSample]) -> Sequence[TrackDataSample]:
        """Segment videos.

        Args:
            inputs (Sequence): uint8 videos, each a tensor (T, 3, H, W) of any length, or an object whose ``split``
                gives windows of one.
            data_samples (Sequence[TrackDataSample]): One per video.

        Returns:
            Sequence[TrackDataSample]: The same samples; their frames carry the task's prediction.
        """
        for video, sample in zip(inputs, data_samples):
            with naming_video(str(sample[0].get('video_id', sample[0].get('img_path')))):
                prediction = self.predict_video(video.split(self.window_size), tuple(sample[0].ori_shape[:2]))
                self.postprocessor(prediction, sample)
        return data_samples

    @torch.no_grad()
    def predict_video(self,
                      windows: Iterable[Tensor],
                      ori_shape: tuple[int, int],
                      store: FeatureStore | None = None) -> VideoPrediction:
        """Segment a video that comes in windows, up to the decoding of its masks.

        Args:
            windows (Iterable[Tensor]): uint8 frames (t, 3, H, W). Windows are requested one after the other, and the
                result does not depend on their sizes.
            ori_shape (tuple[int, int]): Height and width of the final masks.
            store (FeatureStore, optional): Empty store that receives the mask features. Defaults to None: a new one
                with the model's settings ``feature_store``.

        Returns:
            VideoPrediction: Input of a post-processor.

        Raises:
            DataError: There is no window.
            NonFiniteError: The model's output has NaN.
        """
        store = FeatureStore(**self.feature_store) if store is None else store
        masks = KeyframeStore(store) if self.keyframe_interval > 1 else store
        outputs = []
        for window in self._process_windows(windows):
            if isinstance(window, Tensor):
                cast(KeyframeStore, masks).propagate(window)
                continue
            output, padded_shape, img_shape = window
            mask_features = output.pop('mask_features')[0]
            require_no_nan(cls_scores=output.get('cls_scores'), mask_features=mask_features)
            masks.extend(mask_features)
            outputs.append(output)
            shapes = padded_shape, img_shape
        if not outputs:
            raise DataError('a video without frames cannot be segmented: check that its file or folder is complete')
        with CPUInference():
            class_probs, mask_embeds = self.finalize(join_windows(outputs))
        require_no_nan(class_probs=class_probs, mask_embeds=mask_embeds)
        if isinstance(masks, KeyframeStore) and mask_embeds is not None:
            mask_embeds = mask_embeds[masks.keyframe_of]
        return VideoPrediction(class_probs, mask_embeds, masks, *shapes, ori_shape)

    @torch.no_grad()
    def stream(self, windows: Iterable[Tensor], ori_shape: tuple[int, int]) -> Iterator[DetDataSample]:
        """Segment a video without a known end: every frame at once, in memory that does not grow.

        Class probabilities are the softmax of the mean logits of the frames so far, in :meth:`predict` of all frames.

        Args:
            windows (Iterable[Tensor]): uint8 frames (t, 3, H, W); windows of one frame have the least delay.
            ori_shape (tuple[int, int]): Height and width of the final masks.

        Yields:
            DetDataSample: The next frame's prediction.

        Raises:
            TypeError: The model needs the whole video.
            NonFiniteError: The model's output has NaN.
        """
        if not self.is_online:
            raise TypeError(f'{type(self).__name__} refines a video as a whole and cannot stream: use predict() or '
                            'the online stage of the same model')
        sum_of_logits, num_frames, segment = 0., 0, self.postprocessor.start_stream()
        latest: VideoPrediction | None = None
        for window in self._process_windows(windows):
            if isinstance(window, Tensor):
                assert latest is not None  # a video begins with a keyframe
                propagated = PropagatedMasks(cast(Tensor, latest.mask_features[0]), window)
                yield segment(replace(latest, mask_features=[propagated]))
                continue
            output, padded_shape, img_shape = window
            require_no_nan(cls_scores=output['cls_scores'], masks=output['mask_features'])
            for cls_scores, masks in zip(output['cls_scores'][0], output['mask_features'][0]):
                sum_of_logits, num_frames = sum_of_logits + cls_scores.float(), num_frames + 1
                class_probs = (sum_of_logits / num_frames).softmax(dim=-1)
                latest = VideoPrediction(class_probs, None, masks[None], padded_shape, img_shape, ori_shape)
                yield segment(latest)

    def _process_windows(self, windows: Iterable[Tensor]) -> Iterator[ProcessedWindow | Tensor]:
        """Process uint8 frames. For a frame that is no keyframe, yield :attr:`PropagatedMasks.flow`."""
        state = None
        for frames, flow in split_at_keyframes(windows, self.keyframe_interval):
            if flow is not None:
                yield flow
                continue
            prepared = self.data_preprocessor.prepare_frames(frames)
            padded_shape, img_shape = prepared.shape[-2:], frames.shape[-2:]
            for part in prepared.split(max_frames_at_once(prepared, len(frames)), dim=1):
                with CPUInference():
                    output, state = self.process_window(part, state)
                yield ProcessedWindow(output, (padded_shape[0], padded_shape[1]), (img_shape[0], img_shape[1]))
