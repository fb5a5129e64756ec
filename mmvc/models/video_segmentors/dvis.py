# Copyright (c) The mmvc contributors. All rights reserved.
"""DVIS++: Improved Decoupled Framework for Universal Video Segmentation, arXiv 2312.13305."""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.structures import TrackDataSample
from mmengine.logging import print_log
from torch import Tensor, nn

from mmvc.registry import MODELS

from ..heads import TrackerState
from ..heads.inherited_heads import heads_of_segmenter, heads_of_tracker, require_inheritable, require_same_norms
from ..utils.iteration import current_iteration
from ..utils.queries import decode_masks
from ..utils.segmenter_cache import SegmenterCache
from ..utils.targets import clip_targets, labelled_frames
from .decoupled_video_segmentor import DecoupledVideoSegmentor

# module, the one whose heads it can start with, and what computes its weights
_INHERITS = (('tracker', 'head', heads_of_segmenter), ('refiner', 'tracker', heads_of_tracker))


class BaseDVIS(DecoupledVideoSegmentor):
    """Base class of DVIS++'s later stages: a frozen segmenter and a referring tracker.

    Args:
        tracker (dict): Config of :class:`ReferringTracker`.
        guided_fraction (float): Share of the training iterations, counted from the first, in which the predictions of
            the frozen modules decide which query learns which object. Later the predictions of the trained module do.
            Defaults to 0.5.
        segmenter_cache (dict, optional): Arguments of :class:`SegmenterCache`, for trainings without augmentation: the
            frozen segmenter then processes every frame once. Defaults to None: no cache.
        **kwargs: Arguments of :class:`DecoupledVideoSegmentor`.
    """

    def __init__(self,
                 tracker: dict,
                 guided_fraction: float = 0.5,
                 segmenter_cache: dict | None = None,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tracker = MODELS.build(tracker, default_args=dict(num_classes=self.num_classes))
        self.guided_fraction = guided_fraction
        self.segmenter_cache = None if segmenter_cache is None else SegmenterCache(**segmenter_cache)
        if getattr(self.tracker, 'inherit_heads', False):
            require_inheritable(self.head, self.tracker)
        self._register_load_state_dict_pre_hook(self._inherit_heads)
        self._freeze()

    def _inherit_heads(self, state_dict: dict[str, Tensor], prefix: str, *_: Any) -> None:
        """Add the heads of a stage to weights of the stage before, which lack them, while the weights are loaded."""
        for name, before, heads_of in _INHERITS:
            module: Any = getattr(self, name, None)
            own = f'{prefix}{name}.'
            if not getattr(module, 'inherit_heads', False) or any(key.startswith(own) for key in state_dict):
                continue
            given = {key.removeprefix(f'{prefix}{before}.'): value for key, value in state_dict.items()
                     if key.startswith(f'{prefix}{before}.')}
            if given:
                state_dict.update({own + key: value for key, value in heads_of(given, module).items()})
                print_log(f'Class and mask heads of the {name} start with the weights of {before}', logger='current')

    def segment_frozen(self, inputs: Tensor, data_samples: Sequence[TrackDataSample]) -> dict[str, Tensor]:
        """Segment the clips of a training batch, from the cache if there is one; see :meth:`segment`."""
        if self.segmenter_cache is None:
            return self.segment(inputs)
        return self.segmenter_cache(inputs, data_samples, (self.backbone, self.head), self.segment)

    def is_guided(self) -> bool:
        """Whether the frozen modules decide the assignment in the current iteration. False outside of a training."""
        current = current_iteration()
        return current is not None and current[0] < self.guided_fraction * current[1]


@MODELS.register_module()
class DVISOnline(BaseDVIS):
    """Segmenter (frozen) and referring tracker: stage 2 of DVIS++.

    Args:
        **kwargs: Arguments of :class:`BaseDVIS`.
    """

    frozen_parts = ('backbone', 'head')
    is_online = True

    def stage_loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample],
                   sample_weights: Tensor) -> dict[str, Tensor]:
        """Compute the losses of the tracker; see the base class."""
        with torch.no_grad():
            segmented = self.segment_frozen(inputs, data_samples)
        return self.tracker.loss(
            segmented,
            clip_targets(data_samples, inputs.device),
            guided=self.is_guided(),
            sample_weights=sample_weights,
            labelled=labelled_frames(data_samples))

    def track(self,
              segmented: dict[str, Tensor],
              state: TrackerState | None = None) -> tuple[dict[str, Tensor], TrackerState]:
        """Track the objects and decode their masks; see the base class."""
        tracked, state = self.tracker(segmented['query_embeds'], segmented['query_embeds_no_norm'], state)
        masks = decode_masks(tracked['mask_embeds'], self.tracker.project(segmented['mask_features']))
        return dict(cls_scores=tracked['cls_scores'], mask_features=masks), state


@MODELS.register_module()
class DVISOffline(BaseDVIS):
    """Segmenter and tracker (frozen) and temporal refiner: stage 3 of DVIS++.

    Args:
        refiner (dict): Config of :class:`TemporalRefiner`; its ``cross_attn`` entry holds Object Masked Attention.
        **kwargs: Arguments of :class:`BaseDVIS`.
    """

    frozen_parts = ('backbone', 'head', 'tracker')
    is_online = False

    def __init__(self, refiner: dict, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.refiner = MODELS.build(refiner, default_args=dict(num_classes=self.num_classes))
        if getattr(self.refiner, 'inherit_heads', False):
            require_same_norms(self.tracker, self.refiner)

    def stage_loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample],
                   sample_weights: Tensor) -> dict[str, Tensor]:
        """Compute the losses of the refiner; see the base class."""
        with torch.no_grad():
            segmented = self.segment_frozen(inputs, data_samples)
            tracked, _ = self.tracker(segmented['query_embeds'], segmented['query_embeds_no_norm'])
            guidance = None
            if self.is_guided():
                masks = decode_masks(tracked['mask_embeds'], self.tracker.project(segmented['mask_features']))
                guidance = tracked['cls_scores'].mean(dim=1), masks
        return self.refiner.loss(
            tracked['query_embeds'],
            segmented,
            clip_targets(data_samples, inputs.device),
            guidance=guidance,
            sample_weights=sample_weights,
            labelled=labelled_frames(data_samples))

    def track(self,
              segmented: dict[str, Tensor],
              state: TrackerState | None = None) -> tuple[dict[str, Tensor], TrackerState]:
        """Track the objects and return the inputs of the refiner; see the base class.

        There are no masks yet: ``mask_features`` are the segmenter's, shape (1, t, c, h, w).
        """
        tracked, state = self.tracker(segmented['query_embeds'], segmented['query_embeds_no_norm'], state)
        return dict(
            cls_scores=tracked['cls_scores'],
            track_embeds=tracked['query_embeds'],
            frame_embeds=segmented['query_embeds_no_norm'],
            # clone the slice: a view would keep its whole base tensor alive until the video ends
            empty_scores=segmented['cls_scores'].softmax(dim=-1)[..., -1].clone(),
            mask_features=segmented['mask_features']), state

    def final_steps(self) -> Sequence[nn.Module]:
        """The layers of the refiner; see the base class."""
        return self.refiner.layers

    def finalize(self, outputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Refine the objects with the whole video in view; see the base class."""
        refined = self.refiner(outputs['track_embeds'], outputs['frame_embeds'], outputs['empty_scores'])
        class_probs = torch.maximum(refined['cls_scores'][0].float().softmax(dim=-1),
                                    outputs['cls_scores'][0].float().mean(dim=0).softmax(dim=-1))
        return class_probs, refined['mask_embeds'][0]
