# Copyright (c) The mmvc contributors. All rights reserved.
"""Object Masked Attention (OMA): "Rethinking Video Segmentation with Masked Video Consistency", arXiv 2408.10627."""

from typing import Any

import torch
from mmcv.cnn.bricks.transformer import MultiheadAttention
from torch import Tensor

from mmvc.registry import MODELS


class QueryDropping:
    """Draw which background queries are dropped from the keys of an attention layer (Eq. 6-8 of the paper).

    Args:
        drop_ratio (float): gamma, the probability of dropping a background key, in [0, 1]. The paper's "drop ratio d".
            Defaults to 0.5, the best value of the paper's Table 6.
        threshold (float): Lowest probability of the empty class at which a key is background, in [0, 1]. Defaults to
            0.6.

    Raises:
        ValueError: If ``drop_ratio`` or ``threshold`` is outside [0, 1].
    """

    def __init__(self, drop_ratio: float = 0.5, threshold: float = 0.6) -> None:
        for name, value in dict(drop_ratio=drop_ratio, threshold=threshold).items():
            if not 0 <= value <= 1:
                raise ValueError(f'`{name}` of Object Masked Attention is a probability in [0, 1], got {value}')
        self.drop_ratio = drop_ratio
        self.threshold = threshold

    def __call__(self, empty_scores: Tensor, drop_ratio: float | None = None) -> Tensor:
        """Draw once per key.

        Args:
            empty_scores (Tensor): Probability of the empty class of every key, shape (N, K), in [0, 1].
            drop_ratio (float, optional): Overrides the probability of dropping. Defaults to None.

        Returns:
            Tensor: Bool, shape (N, K), True = dropped.
        """
        drop_ratio = self.drop_ratio if drop_ratio is None else drop_ratio
        return (empty_scores >= self.threshold) & (torch.rand_like(empty_scores, dtype=torch.float32) < drop_ratio)


@MODELS.register_module()
class ObjectMaskedCrossAttention(MultiheadAttention):
    """Cross-attention that drops background keys at random (Eq. 6-8 of the paper).

    The queries are the object queries of the tracker, then of the refiner's layers; keys and values are the
    segmenter's queries of the same frame. A key is *background* if the segmenter gives the empty class a probability
    of at least ``threshold``. In training, every background key is removed from the softmax with probability
    ``drop_ratio``: one Bernoulli draw per key and call, hence per frame and layer. Foreground keys always stay. A
    frame that would lose all keys keeps all of them, so that the softmax stays finite. In evaluation mode, or with
    ``drop_ratio=0``, this is plain cross-attention with a residual connection.

    Args:
        embed_dims (int): Channels C of queries and keys.
        num_heads (int): Number of attention heads.
        drop_ratio (float): gamma, the probability of dropping a background key, in [0, 1]. The paper's "drop ratio d".
            Defaults to 0.5, the best value of the paper's Table 6.
        threshold (float): Lowest probability of the empty class at which a key is background, in [0, 1]. Defaults to
            0.6.
        mask_at_test (bool): Whether to drop keys in evaluation mode too ("Masked Inf." in Table 6, about 0.1 mIoU
            worse). Defaults to False.
        **kwargs: Further arguments of :class:`mmcv.cnn.bricks.transformer.MultiheadAttention`.

    Raises:
        ValueError: If ``drop_ratio`` or ``threshold`` is outside [0, 1].
    """

    def __init__(self,
                 embed_dims: int,
                 num_heads: int,
                 drop_ratio: float = 0.5,
                 threshold: float = 0.6,
                 mask_at_test: bool = False,
                 **kwargs: Any) -> None:
        super().__init__(embed_dims, num_heads, batch_first=True, **kwargs)
        self.dropping = QueryDropping(drop_ratio, threshold)
        self.mask_at_test = mask_at_test

    def draw_dropped_keys(self, empty_scores: Tensor, drop_ratio: float | None = None) -> Tensor | None:
        """Draw which keys the softmax ignores in this call (Eq. 8).

        Args:
            empty_scores (Tensor): Probability of the empty class of every key, shape (N, K), in [0, 1].
            drop_ratio (float, optional): Probability of dropping a background key. Defaults to None: the module's own
                in training, and in evaluation mode 0 unless ``mask_at_test`` is set.

        Returns:
            Tensor | None: Bool, shape (N, K), True = dropped. None if nothing can be dropped.
        """
        if drop_ratio is None:
            drop_ratio = self.dropping.drop_ratio if self.training or self.mask_at_test else 0
        if drop_ratio == 0:
            return None
        dropped = self.dropping(empty_scores, drop_ratio)
        # a softmax over no keys is NaN: a frame that would lose all keys keeps them
        return dropped & ~dropped.all(dim=1, keepdim=True)

    def forward(self, query: Tensor, key: Tensor, empty_scores: Tensor | None = None) -> Tensor:
        """Attend to the keys that are not dropped, and add the residual (Eq. 6 and 7).

        Args:
            query (Tensor): Object queries of N frames, shape (N, Q, C).
            key (Tensor): The segmenter's queries of the same frames, shape (N, K, C); also the values.
            empty_scores (Tensor, optional): Probability of the empty class of every key, shape (N, K). Defaults to
                None: no key is dropped.

        Returns:
            Tensor: ``query`` + attention, shape (N, Q, C).
        """
        dropped = None if empty_scores is None else self.draw_dropped_keys(empty_scores)
        return super().forward(query, key, key_padding_mask=dropped)
