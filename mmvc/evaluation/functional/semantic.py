# Copyright (c) The mmvc contributors. All rights reserved.
"""Semantic segmentation scores from one confusion matrix (mIoU, accuracies, frequency-weighted IoU)."""

from collections.abc import Collection, Iterable

import numpy as np

from mmvc.formats.label_maps import VOID_LABEL
from mmvc.utils.errors import UsageError


def as_uint8(labels: np.ndarray, name: str) -> np.ndarray:
    """Convert a label map of any integer type to uint8; no value wraps around.

    Args:
        labels (np.ndarray): Label map, shape (H, W).
        name (str): Name of the map, for the error.

    Raises:
        ValueError: If a value does not fit 8 bits.
    """
    if labels.dtype == np.uint8:
        return labels
    if labels.size and not 0 <= labels.min() <= labels.max() <= 255:
        raise ValueError(f'{name} has values {labels.min()}..{labels.max()}: label maps have 8-bit values')
    return labels.astype(np.uint8)


class ConfusionMatrix:
    """Streaming joint histogram of true and predicted classes.

    ``counts[c, d]`` is the number of pixels of true class ``c`` predicted as ``d``; the extra last column holds pixels
    without a prediction (value 255): they are misses of the true class and no class's false positives. Pixels whose
    raw ground-truth value is void are left out.

    Args:
        num_classes (int): Number of classes K.
        label_offset (int): Raw ground-truth value of class 0: 1 where 0 is void (VSPW), 0 where void is a value behind
            the classes (CamVid). Defaults to 1.
        void_values (Collection[int], optional): Raw ground-truth values of void. Defaults to None: all values that are
            not classes.

    Example:
        >>> confusion = ConfusionMatrix(num_classes=2)
        >>> confusion.update(np.array([[0, 1, 2]], np.uint8), np.array([[0, 0, 0]], np.uint8))
        >>> confusion.counts.tolist()
        [[1, 0, 0], [1, 0, 0]]
    """

    NO_PREDICTION = VOID_LABEL

    def __init__(self, num_classes: int, label_offset: int = 1, void_values: Collection[int] | None = None) -> None:
        if not 0 < num_classes <= self.NO_PREDICTION - label_offset + 1:
            raise UsageError(f'num_classes={num_classes} with label_offset={label_offset} does not fit 8-bit labels: '
                             f'at most {self.NO_PREDICTION - label_offset + 1} classes')
        self.num_classes = num_classes
        self.label_offset = label_offset
        labels = range(label_offset, label_offset + num_classes)
        both = sorted(set(void_values or ()).intersection(labels))
        if both:
            raise UsageError(f'the void values {both} are also classes, which have the mask values {labels[0]} to '
                             f'{labels[-1]}: correct label_offset ({label_offset}) or the void values')
        self._unknown = np.zeros(256, dtype=bool)  # by raw ground-truth value
        if void_values is not None:
            self._unknown[:] = True
            self._unknown[[*void_values, *labels]] = False
        self.counts = np.zeros((num_classes, num_classes + 1), dtype=np.int64)

    def update(self, gt: np.ndarray, pred: np.ndarray) -> None:
        """Count one frame.

        Args:
            gt (np.ndarray): Raw ground-truth values, uint8, shape (H, W).
            pred (np.ndarray): Class indices in [0, K), or 255 for no prediction, uint8, shape (H, W).

        Raises:
            ValueError: If the shapes differ, a predicted value is no class, or a true one neither class nor void.
        """
        if gt.shape != pred.shape:
            raise ValueError(f'prediction of size {pred.shape} for a ground truth of size {gt.shape}: resize the '
                             'prediction to the size of the ground truth')
        # 16-bit keys: a quarter of the memory traffic of 64-bit ones until bincount widens them.
        keys = (as_uint8(gt, 'ground truth').astype(np.uint16) << 8) | as_uint8(pred, 'prediction')
        joint = np.bincount(keys.reshape(-1), minlength=1 << 16).reshape(256, 256)
        strangers = np.flatnonzero(joint[:, self.num_classes:self.NO_PREDICTION].any(axis=0)) + self.num_classes
        if strangers.size:
            raise ValueError(f'predicted class {", ".join(map(str, strangers))} is out of range: expected '
                             f'0..{self.num_classes - 1}, or {self.NO_PREDICTION} for no prediction')
        if self._unknown.any():
            unknown = np.flatnonzero(joint.any(axis=1) & self._unknown).tolist()
            if unknown:
                raise ValueError(f'the mask values {unknown} are neither classes nor void: correct the mask, '
                                 'label_offset or the void values')
        classes = joint[self.label_offset:self.label_offset + self.num_classes]
        self.counts[:, :-1] += classes[:, :self.num_classes]
        if self.num_classes < 256:
            self.counts[:, -1] += classes[:, self.NO_PREDICTION]

    def merge(self, other: 'ConfusionMatrix') -> None:
        """Add the counts of another part of the data (another video, another rank)."""
        if other.counts.shape != self.counts.shape:
            raise ValueError(f'cannot merge counts of {other.num_classes} classes into {self.num_classes}')
        self.counts += other.counts


def per_class_iou(counts: np.ndarray) -> np.ndarray:
    """Intersection over union of every class that occurs in the ground truth.

    Args:
        counts (np.ndarray): :attr:`ConfusionMatrix.counts`, shape (K, K + 1).

    Returns:
        np.ndarray: TP / (TP + FP + FN) in [0, 1], shape (K, ); NaN for classes that the ground truth does not have,
        also if the prediction has them.
    """
    in_gt = counts.sum(axis=1)
    hits = np.diagonal(counts).astype(np.float64)
    union = in_gt + counts[:, :-1].sum(axis=0) - hits
    return np.divide(hits, union, out=np.full(len(counts), np.nan), where=in_gt > 0)


def semantic_scores(counts: np.ndarray) -> dict[str, float]:
    """The official VSPW scores of one confusion matrix.

    Args:
        counts (np.ndarray): :attr:`ConfusionMatrix.counts`, shape (K, K + 1).

    Returns:
        dict: ``mIoU`` (mean over the classes of the ground truth), ``aAcc`` (share of right pixels), ``mAcc`` (mean
        over the classes of the ground truth of their share of right pixels), ``fwIoU`` (IoU weighted by the class's
        share of pixels); fractions. All NaN if no pixel has a class.
    """
    in_gt = counts.sum(axis=1)
    present = in_gt > 0
    if not present.any():
        return dict.fromkeys(('mIoU', 'aAcc', 'mAcc', 'fwIoU'), float('nan'))
    iou = per_class_iou(counts)[present]
    hits = np.diagonal(counts)[present]
    frequency = in_gt[present] / in_gt.sum()
    return dict(
        mIoU=float(iou.mean()),
        aAcc=float(hits.sum() / in_gt.sum()),
        mAcc=float((hits / in_gt[present]).mean()),
        fwIoU=float((frequency * iou).sum()))


def video_miou(video_counts: Iterable[np.ndarray]) -> float:
    """Mean over the videos of each video's own mIoU.

    Args:
        video_counts (Iterable[np.ndarray]): One (K, K + 1) matrix per video.

    Returns:
        float: Fraction; videos without a labelled pixel are left out, NaN if none has any.
    """
    scores = sorted(score for score in (semantic_scores(c)['mIoU'] for c in video_counts) if not np.isnan(score))
    return float(np.mean(scores)) if scores else float('nan')  # sorted: the same sum in every order of the videos


def majority_class_baseline(counts: np.ndarray) -> dict[str, float]:
    """Scores of a trivial prediction: the most frequent class of the ground truth, everywhere.

    It is a baseline for the scores of a model. Its VC is 1, as that of every constant prediction: temporal consistency
    does not measure correctness.

    Args:
        counts (np.ndarray): :attr:`ConfusionMatrix.counts`, shape (K, K + 1), of any prediction: only the frequencies
            of the true classes are used.

    Returns:
        dict: As :func:`semantic_scores`.
    """
    in_gt = counts.sum(axis=1)
    constant = np.zeros_like(counts)
    constant[:, int(in_gt.argmax())] = in_gt
    return semantic_scores(constant)
