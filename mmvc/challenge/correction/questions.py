# Copyright (c) The mmvc contributors. All rights reserved.
"""What a multimodal model is asked and shown, and how its answer is read."""

import re
from collections.abc import Sequence

import cv2
import numpy as np

#: The prompt of arXiv 2406.04979.
PROMPT = 'Is the {stuff} in the image a {classes}? Please give me the only answer.'
PICTURES = ('crop', 'mark')


def readable(name: str) -> str:
    """A class name as one writes it: ``'ship_or_boat'`` -> ``'ship or boat'``."""
    return name.replace('_', ' ').lower()


def make_question(stuff: str, classes: Sequence[str]) -> str:
    """The paper's question about ``stuff`` with the names of the possible classes."""
    return PROMPT.format(stuff=stuff, classes=', '.join(readable(name) for name in classes))


def parse_answer(answer: str, stuff: str, classes: Sequence[str]) -> str | None:
    """Read an answer strictly.

    Accepted is a class's name alone, whatever the case, with or without article, quotes and final stop, also as "It is
    a NAME." or "The STUFF in the image is a NAME."; of a name with alternatives ("ship or boat") also one of them, if
    no other class has it. Anything else, be it two names, a doubt or an explanation, is no answer.

    Args:
        answer (str): What the model wrote.
        stuff (str): What was asked about.
        classes (Sequence[str]): The possible classes.

    Returns:
        str | None: One of ``classes``, None if the answer is none of them.
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
    """The picture that goes with a question.

    Args:
        image (np.ndarray): Frame in BGR, uint8 (H, W, 3).
        mask (np.ndarray): Pixels of the segment, bool (H, W), at least one.
        kind (str): ``'crop'``: the segment's box with some context; ``'mark'``: the whole frame, the segment outlined
            in red. Defaults to ``'crop'``.
        context (float): Of a crop, the margin on each side as a share of the box. Defaults to 0.25.
        max_side (int): The longer side of the picture is reduced to it. Defaults to 672.

    Returns:
        bytes: JPEG.

    Raises:
        ValueError: There is no such kind, or the mask is empty or of another size.
    """
    if kind not in PICTURES:
        raise ValueError(f'kind of picture {kind!r}: expected one of {", ".join(PICTURES)}')
    if mask.shape != image.shape[:2] or not mask.any():
        raise ValueError(f'mask of {mask.sum()} pixels, size {mask.shape}, for an image of size {image.shape[:2]}')
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
