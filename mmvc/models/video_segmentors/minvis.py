# Copyright (c) The mmvc contributors. All rights reserved.
"""MinVIS: A Minimal Video Instance Segmentation Framework without Video-based Training, arXiv 2208.02245."""

from collections.abc import Sequence

from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvc.registry import MODELS

from ..utils.queries import decode_masks, follow_queries, reorder_queries
from ..utils.targets import cut_to_labelled, frame_targets, labelled_frames
from .decoupled_video_segmentor import DecoupledVideoSegmentor


@MODELS.register_module()
class MinVIS(DecoupledVideoSegmentor):
    """The segmenter, whose queries are matched from frame to frame by their embeddings.

    It is stage 1 of DVIS++ (with the contrastive loss in its head), and a complete video segmentor by itself.

    Args:
        **kwargs: Arguments of :class:`DecoupledVideoSegmentor` and :class:`BaseVideoSegmentor`: ``num_classes``,
            ``backbone``, ``head``, ``postprocessor``, ``masked_loss_weight``, ``window_size``, ``feature_store``,
            ``data_preprocessor``, ``init_cfg``.
    """

    is_online = True

    def stage_loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample],
                   sample_weights: Tensor) -> dict[str, Tensor]:
        """Compute the losses of backbone and head; see the base class."""
        num_frames: int | list[int] = inputs.shape[1]
        frame_weights = sample_weights.repeat_interleave(inputs.shape[1])
        labelled = labelled_frames(data_samples)
        if labelled is not None:  # frames do not see each other, so the others teach nothing
            inputs, data_samples, frame_weights = cut_to_labelled(inputs, data_samples, frame_weights, labelled)
            num_frames = [len(frames) for frames in labelled]
        return self.head.loss(
            self.backbone(inputs.flatten(0, 1)),
            frame_targets(data_samples, inputs.device),
            num_frames,
            sample_weights=frame_weights)

    def track(self, segmented: dict[str, Tensor], state: Tensor | None = None) -> tuple[dict[str, Tensor], Tensor]:
        """Match the queries of each frame with those of the frame before; see the base class.

        The state holds the last frame's embeddings in the order of the objects, shape (1, Q, C).
        """
        indices, state = follow_queries(segmented['query_embeds'][0], state)
        cls_scores = reorder_queries(segmented['cls_scores'][0], indices)
        mask_embeds = reorder_queries(segmented['mask_embeds'][0], indices)
        masks = decode_masks(mask_embeds, segmented['mask_features'][0])
        return dict(cls_scores=cls_scores[None], mask_features=masks[None]), state
