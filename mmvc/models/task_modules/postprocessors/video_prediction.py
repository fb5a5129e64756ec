# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmvc.utils.errors import NonFiniteError

from ...cpu.inference import CPUInference
from ...utils.feature_store import FeatureStore
from ...utils.keyframes import KeyframeStore, PropagatedMasks
from ...utils.queries import decode_masks
from ...utils.row_resize import WideRows, resize_columns, resize_rows, row_taps, strips

# Size of a strip of masks. On CPU it should fit into the cache; on other devices it should keep them busy.
_STRIP_BYTES = dict(cpu=2**21)
_STRIP_BYTES_ELSEWHERE = 2**28
_ADVICE = ('its weights are damaged or diverged in training, or numbers overflow in half precision. Check the '
           'checkpoint, or predict without AMP')


@dataclass
class VideoPrediction:
    """A model's raw prediction for one video: class distributions, and masks that are not decoded yet.

    Masks are kept as their factors (embeddings and features), or as logits at the features' size. They are resized to
    full size strip by strip: at full size, the masks of a video, or even of a 4K frame, do not fit into memory.

    Attributes:
        class_probs (Tensor): Probability of every class and the empty class, shape (Q, K + 1).
        mask_embeds (Tensor, optional): Shape (T, Q, c). None: ``mask_features`` are mask logits.
        mask_features (Sequence[Tensor | PropagatedMasks] | Tensor | FeatureStore | KeyframeStore): T mask features,
            each of shape (c, h, w), or mask logits (Q, h, w).
        padded_shape (tuple[int, int]): Height and width of the network's input, padding included.
        img_shape (tuple[int, int]): Height and width of the input without the padding.
        ori_shape (tuple[int, int]): Height and width of the final masks.
        track (Callable): Called with the mask features, and yields them; may show how far a pass over them is.
    """

    class_probs: Tensor
    mask_embeds: Tensor | None
    mask_features: Sequence[Tensor | PropagatedMasks] | Tensor | FeatureStore | KeyframeStore
    padded_shape: tuple[int, int]
    img_shape: tuple[int, int]
    ori_shape: tuple[int, int]
    track: Callable[[Iterable], Iterator] = iter

    def __len__(self) -> int:
        return len(self.mask_features)

    def frames(self, queries: Tensor | None = None, probabilities: bool = True) -> Iterator[Tensor]:
        """Decode masks frame by frame; see :meth:`strips`.

        Args:
            queries (Tensor, optional): Indices of the queries to decode, shape (q,). Defaults to None: all.
            probabilities (bool): Whether to apply the sigmoid. Defaults to True.

        Yields:
            Tensor: Masks of the next frame, float32, shape (q, ori_height, ori_width).
        """
        for frame_strips in self.strips(queries, probabilities):
            yield torch.cat(list(frame_strips), dim=1)

    def strips(self,
               queries: Tensor | None = None,
               probabilities: bool = True,
               combine: Callable[[Tensor], Tensor] | None = None) -> Iterator[Iterator[Tensor]]:
        """Decode masks in strips of rows: resize to the padded input, crop the padding, resize to the original size.

        Args:
            queries (Tensor, optional): Indices of the queries to decode, shape (q,). Defaults to None: all.
            probabilities (bool): Whether to apply the sigmoid. Like the official code, it comes between the two
                resizing steps. Defaults to True.
            combine (Callable, optional): Called with a frame's mask logits (q, h, w) at the size of the features;
                returns the maps (n, h, w) to resize in their place. Defaults to None: the logits are resized.

        Yields:
            Iterator[Tensor]: Strips of the next frame, from top to bottom, float32, shape (q, rows, ori_width); (n,
            rows, ori_width) with ``combine``.
        """
        for t, features in enumerate(self.track(self.mask_features)):
            logits = self._logits(t, features, queries)
            yield self._strips_of(logits if combine is None else combine(logits), probabilities)

    def _logits(self, t: int, features: Tensor | PropagatedMasks, queries: Tensor | None) -> Tensor:
        """Mask logits of a frame at the size of its features, float32 (q, h, w)."""
        if isinstance(features, PropagatedMasks):
            with torch.autocast(self.class_probs.device.type, enabled=False):
                logits = features.warp(self._decode(t, features.features, queries), self.img_shape, self.padded_shape)
        else:
            logits = self._decode(t, features, queries)
        # Infinite ones become NaN when they are resized, and NaN is below every threshold: the mask would be empty.
        if not bool(logits.sum().isfinite()) and not bool(logits.isfinite().all()):
            raise NonFiniteError(f'the model predicts NaN or infinite values (masks): {_ADVICE}')
        return logits

    def _decode(self, t: int, features: Tensor, queries: Tensor | None) -> Tensor:
        if self.mask_embeds is None:
            return (features if queries is None else features[queries]).to(self.class_probs.device).float()
        embeds = self.mask_embeds[t] if queries is None else self.mask_embeds[t, queries]
        with torch.autocast(embeds.device.type, enabled=False), torch.no_grad(), CPUInference():
            return decode_masks(embeds.float(), features.to(embeds.device).float())

    def _strips_of(self, logits: Tensor, probabilities: bool) -> Iterator[Tensor]:
        (height, width), device = self.img_shape, logits.device
        out_height, out_width = self.ori_shape
        inner = row_taps(logits.shape[1], self.padded_shape[0], device)
        outer = row_taps(height, out_height, device)
        wide = WideRows(logits, self.padded_shape[1], width)

        def rows_of_input(start: int, stop: int) -> Tensor:
            first, last = int(inner.upper[start]), int(inner.lower[stop - 1])
            masks = resize_rows(wide.get(first, last + 1), inner, start, stop, first)
            return masks.sigmoid_() if probabilities else masks

        for start, stop in strips(out_height, self._rows_per_strip(logits)):
            if (height, width) == (out_height, out_width):
                yield rows_of_input(start, stop)
                continue
            first, last = int(outer.upper[start]), int(outer.lower[stop - 1])
            masks = resize_columns(rows_of_input(first, last + 1), out_width)
            yield resize_rows(masks, outer, start, stop, first)

    def _rows_per_strip(self, logits: Tensor) -> int:
        """Number of output rows whose masks stay within the limit, at the larger of both sizes."""
        limit = _STRIP_BYTES.get(logits.device.type, _STRIP_BYTES_ELSEWHERE)
        shrinking = max(1.0, self.img_shape[0] / self.ori_shape[0])
        bytes_per_row = 4 * len(logits) * max(self.img_shape[1], self.ori_shape[1]) * shrinking
        return max(1, int(limit / max(bytes_per_row, 1)))


def require_no_nan(**outputs: Tensor | None) -> None:
    """Raise an error if the output of a model has NaN.

    Args:
        **outputs (Tensor, optional): Output by name, of any shape.

    Raises:
        NonFiniteError: A value is NaN.
    """
    for name, output in outputs.items():
        if output is None or not output.is_floating_point() or output.numel() == 0:
            continue
        # a sum takes a fraction of the time of isnan(), and is finite if all is well
        if not bool(output.sum(dtype=torch.float32).isfinite()) and bool(output.isnan().any()):
            raise NonFiniteError(f'the model predicts NaN ({name}): {_ADVICE}')
