# Copyright (c) The mmvc contributors. All rights reserved.
"""Comparison of a graph with the model that it was exported from."""

from pathlib import Path

import numpy as np
import torch

from .online_graph import OUTPUTS, OnlineGraph
from .runtime import OnnxGraph

_NUM_FRAMES = 3


def largest_differences(path: Path, graph: OnlineGraph, multiple_of: int,
                        size: tuple[int, int] | None = None) -> dict[str, float]:
    """Run a few random frames through a graph and through its model, each with its own state.

    Frames are of another size than the one that was traced.

    Args:
        path (Path): File of the graph.
        graph (OnlineGraph): What it was exported from, see :func:`mmvc.deployment.tracing.exportable`.
        multiple_of (int): Number that divides the height and width of padded frames.
        size (tuple[int, int], optional): Height and width, if only one size fits. Defaults to None.

    Returns:
        dict[str, float]: For class logits and mask logits, the largest difference, divided by the largest absolute
        value (at least 1).
    """
    session = OnnxGraph(path, torch.device('cpu'))
    height, width = size or (3 * multiple_of, 4 * multiple_of)
    device = next(graph.parameters()).device
    frames = torch.randn(_NUM_FRAMES, 1, 1, 3, height, width, generator=torch.Generator().manual_seed(0))
    state = [np.zeros(shape, np.float32) for _, shape in graph.state]
    state_of_model = None
    largest = dict.fromkeys(OUTPUTS[:2], 0.)
    for frame in frames:
        scores, masks, _, *state = session([frame[0].numpy(), *state])
        with torch.no_grad():
            output, state_of_model = graph.model.process_window(frame.to(device), state_of_model)
        for name, value, expected in zip(OUTPUTS, (scores, masks), (output['cls_scores'], output['mask_features'])):
            wanted = expected[0, 0].cpu().numpy()
            difference = float(np.abs(value - wanted).max()) / max(1., float(np.abs(wanted).max()))
            largest[name] = max(largest[name], difference)
    return largest
