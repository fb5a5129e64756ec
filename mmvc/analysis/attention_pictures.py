# Copyright (c) The mmvc contributors. All rights reserved.
"""Draw attention weights as heat maps, and plot their share on background."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from mmvc.visualization import text_size, write_texts
from mmvc.visualization.drawing import BACKGROUND
from mmvc.visualization.text import shortened

_SIZE = 10
_LINE = (255, 255, 255)


def heat_map(weights: np.ndarray, num_foreground: int, row_names: Sequence[str], size: tuple[int, int],
             maximum: float) -> np.ndarray:
    """Draw attention weights as a heat map.

    There is one row per foreground query and one column per key. A line separates foreground keys (left) from
    background keys (right).

    Args:
        weights (np.ndarray): Weights (rows, K), foreground keys first.
        num_foreground (int): Number of foreground keys.
        row_names (Sequence[str]): Names of the queries.
        size (tuple[int, int]): Height and width of the picture in pixels.
        maximum (float): Weight of the brightest colour. Brightness grows with the square root of the weight.

    Returns:
        np.ndarray: Picture in RGB, uint8 (H, W, 3).
    """
    height, width = size
    picture = np.full((height, width, 3), BACKGROUND, np.uint8)
    line = text_size('x', _SIZE)[1]
    left = min(max([text_size(name, _SIZE)[0] for name in row_names], default=0) + 8, width // 4)
    bar = text_size(f'{maximum:.2f}', _SIZE)[0] + 16
    top, bottom, right = 6, height - line - 8, width - bar - 8
    texts = []
    if len(weights):
        levels = np.sqrt(np.clip(weights / max(maximum, 1e-12), 0, 1))
        cells = cv2.resize(levels.astype(np.float32), (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)
        picture[top:bottom, left:right] = _colored(cells)
        row_height = (bottom - top) / len(weights)
        if row_height >= line - 3:
            texts += [(shortened(name, left - 8, _SIZE), 4, int(top + (row + 0.5) * row_height - line / 2))
                      for row, name in enumerate(row_names)]
    else:
        texts.append(('no foreground query', left + 8, top + 8))
    border = left + round((right - left) * num_foreground / weights.shape[1])
    picture[top:bottom + 4, max(border - 1, left):border + 1] = _LINE
    background_text = f'{weights.shape[1] - num_foreground} background keys'
    start = right - text_size(background_text, _SIZE)[0]
    texts += [(shortened(f'{num_foreground} foreground', start - left - 8, _SIZE), left, bottom + 4),
              (background_text, start, bottom + 4)]
    scale = np.linspace(1, 0, bottom - top, dtype=np.float32)[:, None].repeat(8, axis=1)
    picture[top:bottom, right + 8:right + 16] = _colored(scale)
    texts += [(f'{maximum:.2f}', right + 20, top), ('0', right + 20, bottom - line)]
    return write_texts(picture, texts, _SIZE)


def plot_share(path: Path, curves: Mapping[str, Sequence[float]]) -> None:
    """Plot the share of the weight on background keys over the frames.

    Args:
        path (Path): PNG file to write.
        curves (Mapping[str, Sequence[float]]): Share in each frame, in [0, 1], by name of the curve.
    """
    figure = Figure(figsize=(7, 3.2), dpi=120, layout='tight')
    axes = figure.add_subplot()
    for name, share in curves.items():
        axes.plot(range(len(share)), 100 * np.asarray(share), label=f'{name} (mean {100 * np.mean(share):.1f} %)')
    axes.set(xlabel='frame', ylabel='weight on background keys, %', ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.canvas.print_figure(str(path))


def _colored(levels: np.ndarray) -> np.ndarray:
    """Map levels in [0, 1] to colours in RGB."""
    return cv2.applyColorMap(np.rint(255 * levels).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
