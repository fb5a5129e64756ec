# Copyright (c) The mmvc contributors. All rights reserved.
"""The question and the picture for a multimodal model, and how to read its answer."""

import re
from collections.abc import Sequence

import cv2
import numpy as np

#: The prompt of arXiv 2406.04979.
PROMPT = 'Is the {stuff} in the image a {classes}? Please give me the only answer.'
PICTURES = ('crop', 'mark')


def readable(name: str) -> str:
    """Turn the name of a class into words: ``'ship_or_boat'`` -> ``'ship or boat'``."""
    return name.replace('_', ' ').lower()


def make_question(stuff: str, classes: Sequence[str]) -> str:
    """Return the question of the paper about ``stuff``, with the names of the possible classes."""
    return PROMPT.format(stuff=stuff, classes=', '.join(readable(name) for name in classes))


def parse_answer(answer: str, stuff: str, classes: Sequence[str]) -> str | None:
    """Read an answer strictly.

    An answer must be the name of a class and nothing else. Case, article, quotes and a final stop do not matter. The
    sentences "It is a NAME." and "The STUFF in the image is a NAME." are accepted as well. If a name has alternatives
    ("ship or boat"), one of them is enough, unless another class has it too. Anything else (two names, a doubt, an
    explanation) is unusable.

    Args:
        answer (str): Text that the model wrote.
        stuff (str): Common name of the classes in the question.
        classes (Sequence[str]): The possible classes.

    Returns:
        str | None: One of ``classes``. None if the answer is unusable.
    """
    text = re.sub(r'\s+', ' ', readable(answer)).strip(' \'"`*.!')
    opening = rf"^(?:it is|it's|this is|the {re.escape(readable(stuff))} in (?:the|this) image is) "
    text = re.sub(opening, '', text).strip(' \'"`*')
    text = re.sub(r'^(?:an?|the) ', '', text).strip(' \'"`*')
    for name in classes:
        if text == readable(name):
            return name
    alternatives = [name for name in classes if text in readable(name).split(' or ')]
    return alternatives[0] if len(alternatives) == 1 else None


def draw_picture(image: np.ndarray, mask: np.ndarray, kind: str = 'crop', context: float = 0.25,
                 max_side: int = 672) -> bytes:
    """Draw the picture for a question.

    Args:
        image (np.ndarray): Frame in BGR, uint8 (H, W, 3).
        mask (np.ndarray): Pixels of the segment, bool (H, W), not empty.
        kind (str): ``'crop'`` for the bounding box of the segment with some context, ``'mark'`` for the whole frame
            with the segment outlined in red. Defaults to ``'crop'``.
        context (float): Margin of a crop on each side, as a share of the box. Defaults to 0.25.
        max_side (int): Longest side of the picture in pixels. Larger pictures are reduced. Defaults to 672.

    Returns:
        bytes: JPEG.

    Raises:
        ValueError: The kind is unknown, or the mask is empty or differs in size.
    """
    if kind not in PICTURES:
        raise ValueError(f'kind of picture {kind!r}: expected one of {", ".join(PICTURES)}')
    if mask.shape != image.shape[:2] or not mask.any():
        raise ValueError(f'mask of {mask.sum()} pixels, size {mask.shape}, for an image of size {image.shape[:2]}: '
                         'expected at least one pixel, and the size of the image')
    if kind == 'crop':
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        dx, dy = round(context * width), round(context * height)
        picture = image[max(y - dy, 0):y + height + dy, max(x - dx, 0):x + width + dx]
    else:
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        thickness = max(2, round(min(mask.shape) / 200))
        picture = cv2.drawContours(image.copy(), contours, -1, (0, 0, 255), thickness)
    scale = max_side / max(picture.shape[:2])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
