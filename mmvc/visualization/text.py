# Copyright (c) The mmvc contributors. All rights reserved.
"""Text on images, in a font that matplotlib (a dependency of mmengine) brings along.

The font covers many scripts and is readable at small sizes.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

TEXT = (240, 240, 240)
OUTLINE = (0, 0, 0)
# Short side of the largest picture, in pixels, that sizes of letters and lines are meant for.
_BASE_SIDE = 540


@lru_cache(maxsize=None)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf')), size)


def text_scale(image: np.ndarray) -> float:
    """Factor by which letters and lines grow with a picture, so that they can be read when it is shown on a screen.

    Args:
        image (np.ndarray): Picture, (H, W, ...).

    Returns:
        float: 1 up to a short side of 540 pixels, 2 at 1080, 4 at 2160.
    """
    return max(min(image.shape[:2]) / _BASE_SIDE, 1.)


@lru_cache(maxsize=4096)
def text_size(text: str, size: int) -> tuple[int, int]:
    """Measure text.

    Args:
        text (str): One line.
        size (int): Size of the font in pixels.

    Returns:
        tuple[int, int]: Width of the text and height of the line, in pixels.
    """
    ascent, descent = _font(size).getmetrics()
    return int(np.ceil(_font(size).getlength(text))), ascent + descent


def shortened(text: str, width: int, size: int) -> str:
    """Shorten a text that is too wide, and end it with an ellipsis.

    Args:
        text (str): One line.
        width (int): Available width in pixels.
        size (int): Size of the font in pixels.

    Returns:
        str: The text, or its beginning with an ellipsis.
    """
    if text_size(text, size)[0] <= width:
        return text
    while text and text_size(f'{text}…', size)[0] > width:
        text = text[:-1]
    return f'{text}…'


def write_texts(image: np.ndarray,
                texts: Sequence[tuple[str, int, int]],
                size: int,
                outline: int = 0,
                color: tuple[int, int, int] = TEXT) -> np.ndarray:
    """Write lines of text.

    Args:
        image (np.ndarray): Image, RGB, uint8, (H, W, 3).
        texts (Sequence[tuple[str, int, int]]): Texts, each with x and y of its upper left corner.
        size (int): Size of the font in pixels.
        outline (int): Width of a dark outline of the letters, for contrast on any background. Defaults to 0.
        color (tuple[int, int, int]): Colour of the letters. Defaults to nearly white.

    Returns:
        np.ndarray: Copy of the image with the texts.
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    draw = ImageDraw.Draw(picture)
    for text, x, y in texts:
        draw.text((x, y), text, fill=color, font=_font(size), stroke_width=outline, stroke_fill=OUTLINE)
    return np.array(picture)
