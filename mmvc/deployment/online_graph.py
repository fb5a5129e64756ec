# Copyright (c) The mmvc contributors. All rights reserved.
"""An online model as a function of a frame and a state, whose tensors are the inputs and outputs of a graph."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmvc.models.heads import TrackerState
from mmvc.models.utils import decode_masks
from mmvc.models.video_segmentors import BaseVideoSegmentor, DVISOnline, EncoderOnlySegmentor, MinVIS
from mmvc.utils.errors import UsageError

#: outputs of a graph before the new state: class logits (Q, K + 1), mask logits (Q, h, w), query embeddings (Q, C)
OUTPUTS = ('cls_scores', 'masks', 'query_embeds')

_Output = tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]


class StateTensor(NamedTuple):
    """A tensor that goes from frame to frame. Zeros stand for a video that begins."""

    name: str
    """Name of the input of a graph; the output has ``next_`` before it."""
    shape: tuple[int, ...]


class OnlineGraph(nn.Module):
    """One step of an online model: a frame and the state go in, the prediction and the new state come out.

    All of it consists of tensors and traceable operations, the matching of queries included.

    Args:
        model (BaseVideoSegmentor): MinVIS, DVISOnline or EncoderOnlySegmentor, in evaluation mode.

    Attributes:
        state (tuple[StateTensor, ...]): The tensors of the state.
        mask_stride (int): Pixels of a padded frame for each pixel of a mask.

    Raises:
        UsageError: The model is offline, or of an unknown class.
    """

    def __init__(self, model: BaseVideoSegmentor) -> None:
        super().__init__()
        self._step, state = _step_of(model)
        self.model = model
        self.state = tuple(state)
        if isinstance(model, EncoderOnlySegmentor):
            self.mask_stride = model.encoder.patch_size // 2**len(model.head.upscale)
        else:
            self.mask_stride = model.head.pixel_decoder.strides[0]

    def forward(self, frame: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Segment the next frame.

        Args:
            frame (Tensor): Normalised, padded frame, shape (1, 3, H, W).
            *state (Tensor): State that the frame before returned; zeros for the first frame.

        Returns:
            tuple[Tensor, ...]: The tensors of ``OUTPUTS``, and the new state.
        """
        cls_scores, masks, embeds, new_state = self._step(self.model, frame[None], state)
        # an output that is another one's memory would have one name for both
        return cls_scores[0, 0], masks[0, 0], embeds[0, 0].clone(), *(tensor.clone() for tensor in new_state)


def _step_of(model: BaseVideoSegmentor) -> tuple[Callable[..., _Output], Sequence[StateTensor]]:
    """Find the step of a model, and the shapes of its state."""
    name = type(model).__name__
    if not model.is_online:
        raise UsageError(f'{name} refines a video as a whole, so there is no graph that takes frame after frame: '
                         'export the online stage of the config (--stage online) with its checkpoint')
    if isinstance(model, DVISOnline):
        shape = (1, model.head.query_embed.num_embeddings, model.tracker.post_norm.weight.numel())
        return _dvis_step, [StateTensor('track', shape), StateTensor('last_embeds', shape)]
    if isinstance(model, EncoderOnlySegmentor):
        return _encoder_only_step, [StateTensor('queries', (1, *model.query_embed.weight.shape))]
    if isinstance(model, MinVIS):
        embed_dims = model.head.decoder_embed_dims * (1 if model.head.reid_embed is None else 2)
        return _minvis_step, [StateTensor('last_embeds', (1, model.head.query_embed.num_embeddings, embed_dims))]
    raise UsageError(f'there is no export of a {name}: export a MinVIS, DVISOnline or EncoderOnlySegmentor')


def _minvis_step(model: MinVIS, frames: Tensor, state: tuple[Tensor, ...]) -> _Output:
    output, embeds = model.process_window(frames, state[0])
    return output['cls_scores'], output['mask_features'], embeds[None], (embeds, )


def _dvis_step(model: DVISOnline, frames: Tensor, state: tuple[Tensor, ...]) -> _Output:
    """The tracker has another first frame, so it runs for both cases: it is a small part of a frame's time."""
    segmented = model.segment(frames)
    queries = segmented['query_embeds'], segmented['query_embeds_no_norm']
    first, state_of_first = model.tracker(*queries)
    later, state_of_later = model.tracker(*queries, TrackerState(*state))
    begins = (state[1] == 0).all()

    def choose(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(begins, a, b)

    cls_scores, mask_embeds, embeds = (
        choose(first[name], later[name]) for name in ('cls_scores', 'mask_embeds', 'query_embeds'))
    masks = decode_masks(mask_embeds, model.tracker.project(segmented['mask_features']))
    new_state = (choose(state_of_first.output, state_of_later.output),
                 choose(state_of_first.query_embeds, state_of_later.query_embeds))
    return cls_scores, masks, embeds, new_state


def _encoder_only_step(model: EncoderOnlySegmentor, frames: Tensor, state: tuple[Tensor, ...]) -> _Output:
    if model.propagation is None:
        output, queries = model.process_window(frames, state[0])
        return output['cls_scores'], output['mask_features'], queries[None], (queries, )
    begins = (state[0] == 0).all()
    output, queries = model.segment_window(frames, torch.where(begins, model.query_embed.weight, state[0]))
    return output['cls_scores'], output['mask_preds'], output['query_embeds'], (queries, )
