# Copyright (c) The mmvc contributors. All rights reserved.
"""Record the cross-attention of the temporal refiner, and measure how much of it goes to background.

As in "Rethinking Video Segmentation with Masked Video Consistency" (arXiv 2408.10627), Fig. 6.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mmvc.models import DVISOffline
from mmvc.models.layers import ObjectMaskedCrossAttention
from mmvc.utils.errors import UsageError


def attention_weights(module: ObjectMaskedCrossAttention, query: Tensor, key: Tensor,
                      dropped: Tensor | None = None) -> Tensor:
    """Compute the attention weights, which the cross-attention computes itself but does not return.

    Args:
        module (ObjectMaskedCrossAttention): The cross-attention.
        query (Tensor): Object queries, shape (N, Q, C).
        key (Tensor): The segmenter's queries, shape (N, K, C).
        dropped (Tensor, optional): Keys that the softmax ignores, bool (N, K). Defaults to None: no key.

    Returns:
        Tensor: Weights averaged over the heads, shape (N, Q, K). Each row adds up to 1.
    """
    query, key = query.transpose(0, 1), key.transpose(0, 1)  # as mmcv's module does
    weights = module.attn(query, key, key, key_padding_mask=dropped, average_attn_weights=False)[1]  # (N, heads, Q, K)
    return weights.mean(dim=1)


@dataclass
class VideoAttention:
    """Cross-attention of the L layers of the refiner in a video of T frames.

    Attributes:
        plain (list[Tensor]): Weights of each layer in testing, shape (T, Q, K).
        masked (list[Tensor]): Weights of the same queries and keys with Object Masked Attention, as in training.
        background (Tensor): Whether each key is background, bool (T, K). The segmenter's score of the empty class is
            then at least the threshold.
        foreground (Tensor): Whether each query is foreground, bool (Q,). The refiner's score of the empty class for
            the video is then below the threshold.
        labels (Tensor): Class of the highest score of each query, int64 (Q,).
        threshold (float): Threshold of the score of the empty class, in [0, 1].
    """

    plain: list[Tensor] = field(default_factory=list)
    masked: list[Tensor] = field(default_factory=list)
    background: Tensor = field(default_factory=partial(torch.zeros, (0, 0), dtype=torch.bool))
    foreground: Tensor = field(default_factory=partial(torch.zeros, 0, dtype=torch.bool))
    labels: Tensor = field(default_factory=partial(torch.zeros, 0, dtype=torch.int64))
    threshold: float = 0.

    def background_share(self, masked: bool = False) -> Tensor:
        """Compute the share of the weight of foreground queries that goes to background keys.

        Args:
            masked (bool): Whether to use the weights with Object Masked Attention. Defaults to False.

        Returns:
            Tensor: Shares in [0, 1], shape (L, T). NaN if no query is foreground.
        """
        return torch.stack([
            (weights[:, self.foreground] * self.background[:, None]).sum(dim=-1).mean(dim=-1)
            for weights in (self.masked if masked else self.plain)
        ])

    def mean_weights(self, frame: int, layer: int | None = None, masked: bool = False) -> Tensor:
        """Return the weights of the foreground queries in a frame. Foreground keys come first, then background keys.

        Args:
            frame (int): Index of the frame.
            layer (int, optional): Index of the layer. Defaults to None: mean over all layers.
            masked (bool): Whether to use the weights with Object Masked Attention. Defaults to False.

        Returns:
            Tensor: Weights, shape (foreground queries, K).
        """
        weights = self.masked if masked else self.plain
        layers = weights if layer is None else [weights[layer]]
        mean = torch.stack([of_layer[frame, self.foreground] for of_layer in layers]).mean(dim=0)
        return mean[:, self.background[frame].to(torch.int8).argsort(stable=True)]

    def numbers(self) -> dict[str, Any]:
        """Summarize the shares of the weight on background keys, for a JSON file.

        Returns:
            dict: For ``plain`` and ``oma`` the mean ``share``, and the shares ``by_layer`` (L) and ``by_frame`` (T).
            For comparison, ``foreground_queries``, ``background_keys`` (mean per frame) and ``keys``: attention
            without preference has the share background_keys / keys.
        """
        numbers: dict[str, Any] = dict(
            foreground_queries=int(self.foreground.sum()),
            background_keys=float(self.background.float().sum(dim=1).mean()),
            keys=self.background.shape[1],
            threshold=self.threshold)
        for name, masked in (('plain', False), ('oma', True)):
            share = self.background_share(masked)
            numbers[name] = dict(
                share=share.mean().item(), by_layer=share.mean(dim=1).tolist(), by_frame=share.mean(dim=0).tolist())
        return numbers


@contextmanager
def record_attention(model: DVISOffline, drop_ratio: float = 0.5, seed: int = 0) -> Iterator[VideoAttention]:
    """Record the cross-attention of the refiner. The output of the model does not change.

    Args:
        model (DVISOffline): Model in evaluation mode.
        drop_ratio (float): Probability that a background key is dropped in ``masked``, if that of the model is 0.
            Defaults to 0.5.
        seed (int): Seed that decides which keys are dropped. Defaults to 0.

    Yields:
        VideoAttention: The attention of the last video that was segmented; empty before the first one.

    Raises:
        UsageError: The model has no refiner.

    Examples:
        >>> with record_attention(model) as attention:
        ...     model.predict([video], [sample])
        >>> attention.background_share().mean()
        tensor(0.41)
    """
    if not isinstance(model, DVISOffline):
        raise UsageError(f'{type(model).__name__} has no temporal refiner: use the config and checkpoint of the '
                         'offline stage')
    record = VideoAttention()

    layers = model.refiner.layers
    plain: list[list[Tensor]] = [[] for _ in layers]  # of each layer, by chunks of the video
    masked: list[list[Tensor]] = [[] for _ in layers]
    background: list[Tensor] = []

    def record_layer(index: int, module: ObjectMaskedCrossAttention, args: tuple[Tensor, ...]) -> None:
        query, key, empty_scores = args
        if index == 0:
            background.append((empty_scores >= module.dropping.threshold).cpu())
        dropped = _draw_dropped(module, empty_scores, drop_ratio, seed + sum(map(len, plain)))
        plain[index].append(attention_weights(module, query, key).float().cpu())
        masked[index].append(attention_weights(module, query, key, dropped).float().cpu())

    def finish_video(module: torch.nn.Module, args: Any, result: dict[str, Tensor]) -> None:
        record.plain, record.masked = ([torch.cat(chunks) for chunks in weights] for weights in (plain, masked))
        record.background, record.threshold = torch.cat(background), layers[0].cross_attn.dropping.threshold
        probs = result['cls_scores'][0].float().softmax(dim=-1).cpu()
        record.foreground = probs[:, -1] < record.threshold
        record.labels = probs[:, :-1].argmax(dim=-1)
        for chunks in (*plain, *masked, background):
            chunks.clear()

    handles = [layer.cross_attn.register_forward_pre_hook(partial(record_layer, i)) for i, layer in enumerate(layers)]
    handles.append(model.refiner.register_forward_hook(finish_video))
    try:
        with torch.no_grad():
            yield record
    finally:
        for handle in handles:
            handle.remove()


def _draw_dropped(module: ObjectMaskedCrossAttention, empty_scores: Tensor, drop_ratio: float,
                  seed: int) -> Tensor | None:
    """Draw the keys that training would drop, by the module's own rule."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return module.draw_dropped_keys(empty_scores, module.dropping.drop_ratio or drop_ratio)
