# Copyright (c) The mmvc contributors. All rights reserved.
"""A segmentor whose network is a graph in a file."""

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvc.models.video_segmentors import BaseVideoSegmentor
from mmvc.utils.errors import UsageError

from .description import GraphDescription
from .runtime import OnnxGraph


class ExportedSegmentor(BaseVideoSegmentor):
    """Segments videos frame by frame by a graph that has been exported.

    Videos, streams and post-processing are those of the base class.

    Args:
        graph (OnnxGraph): The graph.
        description (GraphDescription): Its description.
        **kwargs: Arguments of :class:`BaseVideoSegmentor`: ``postprocessor``, ``data_preprocessor``, ``window_size``,
            ``feature_store``, ``keyframe_interval``.

    Raises:
        UsageError: The description does not fit the graph.
    """

    is_online = True

    def __init__(self, graph: OnnxGraph, description: GraphDescription, **kwargs: Any) -> None:
        super().__init__(len(description.classes), **kwargs)
        self._graph, self._description = graph, description
        names = (description.input.get('name'), *(tensor.get('input') for tensor in description.state))
        outputs = [tensor.get('name') for tensor in description.outputs]
        outputs += [tensor.get('output') for tensor in description.state]
        if graph.inputs != names or graph.outputs != tuple(outputs):
            raise UsageError(f'the graph has the inputs {list(graph.inputs)} and the outputs {list(graph.outputs)}, '
                             f'and its description says {list(names)} and {outputs}: export the model again')
        shapes = [tensor.get('shape') for tensor in description.state]
        if graph.shapes[1:] != shapes:
            raise UsageError(f'the state of the graph has the shapes {graph.shapes[1:]}, and its description says '
                             f'{shapes}: export the model again')
        digest = torch.tensor(list(description.sha256.encode()), dtype=torch.uint8)
        self.register_buffer('graph_sha256', digest)  # the weights, for whoever compares state dicts

    def process_window(self, frames: Tensor,
                       state: Sequence[np.ndarray] | None = None) -> tuple[dict[str, Tensor], Sequence[np.ndarray]]:
        """Segment the next frames of a video; see the base class. The state is that of the graph.

        Raises:
            UsageError: The frames have a size that the graph does not take.
        """
        self._check_size(frames.shape[-2], frames.shape[-1])
        if state is None:
            state = [np.zeros(tensor['shape'], np.float32) for tensor in self._description.state]
        cls_scores, masks = [], []
        for frame in frames[0].cpu().numpy():
            scores, logits, _, *state = self._graph([frame[None], *state])
            cls_scores.append(torch.from_numpy(scores))
            masks.append(torch.from_numpy(logits))
        output = dict(cls_scores=torch.stack(cls_scores)[None], mask_features=torch.stack(masks)[None])
        return {name: value.to(frames.device) for name, value in output.items()}, state

    def optimize_for_inference(self, compile: bool = False) -> None:
        """Do nothing: the graph is optimised when it is loaded."""

    def stage_loss(self, inputs: Tensor, data_samples: Sequence[TrackDataSample], sample_weights: Tensor) -> NoReturn:
        """Refuse a training.

        Raises:
            TypeError: Always.
        """
        raise TypeError('an exported graph has no gradients: train the model that it was exported from')

    def segment(self, inputs: Tensor) -> dict[str, Tensor]:
        """Segment clips; see the base class. The tensors are those of :meth:`process_window`."""
        clips = [self.process_window(clip[None])[0] for clip in inputs]
        return {name: torch.cat([clip[name] for clip in clips]) for name in clips[0]}

    def _check_size(self, height: int, width: int) -> None:
        size, minimum = self._description.input.get('size'), self._description.input.get('minimum', 0)
        if size is not None and [height, width] != list(size):
            raise UsageError(f'the graph takes frames of {size[1]}x{size[0]} (padding included), got '
                             f'{width}x{height}: use --size {size[1]}x{size[0]}, or export the model without --size')
        if min(height, width) < minimum:
            raise UsageError(f'the graph takes frames of at least {minimum}x{minimum} (padding included), got '
                             f'{width}x{height}: use a larger --size')
