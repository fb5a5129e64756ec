# Copyright (c) The mmvc contributors. All rights reserved.
"""Class and mask heads on the tokens of a plain transformer.

Source: Kerssies et al., "Your ViT is Secretly an Image Segmentation Model" (EoMT, arXiv 2503.19108).
"""

import math

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmvc.registry import MODELS

from ..cpu.plain_transformer import double_size
from ..utils.queries import decode_masks


class UpscaleBlock(nn.Module):
    """Double the resolution of a feature map: transposed convolution, GELU, depthwise 3 x 3, layer norm.

    Args:
        channels (int): Channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(channels, channels, kernel_size=2, stride=2)
        self.depthwise = nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels, bias=False)
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, C, 2 h, 2 w)."""
        x = self.depthwise(double_size(x, self.deconv))
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@MODELS.register_module()
class QueryMaskHead(BaseModule):
    """Predict class and mask of each query from query tokens and patch tokens.

    Args:
        num_classes (int): Number of classes K. The class logits have K + 1 channels; the last is the empty class.
        embed_dims (int): Channels D of a token.
        patch_size (int): Side of a patch in pixels; masks have stride 4 for patches of 16. Defaults to 16.
    """

    def __init__(self, num_classes: int, embed_dims: int, patch_size: int = 16) -> None:
        super().__init__()
        num_upscales = max(1, int(math.log2(patch_size)) - 2)
        self.cls_embed = nn.Linear(embed_dims, num_classes + 1)
        self.mask_embed = nn.Sequential(
            nn.Linear(embed_dims, embed_dims), nn.GELU(), nn.Linear(embed_dims, embed_dims), nn.GELU(),
            nn.Linear(embed_dims, embed_dims))
        self.upscale = nn.Sequential(*(UpscaleBlock(embed_dims) for _ in range(num_upscales)))

    def forward(self, queries: Tensor, patches: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Predict classes and masks.

        Args:
            queries (Tensor): Query tokens, shape (N, Q, D).
            patches (Tensor): Patch tokens, row by row, shape (N, h w, D).
            grid (tuple[int, int]): Patches (rows h, columns w).

        Returns:
            tuple[Tensor, Tensor]: Class logits (N, Q, K + 1), and mask logits (N, Q, s h, s w), where s is 4 for
            patches of 16 pixels and 2 for patches of 8.
        """
        features = self.upscale(patches.transpose(1, 2).view(len(patches), -1, *grid))
        return self.cls_embed(queries), decode_masks(self.mask_embed(queries), features)

    def empty_scores(self, queries: Tensor) -> Tensor:
        """Probability of the empty class for query tokens (N, Q, D): shape (N, Q), float32."""
        return self.cls_embed(queries).float().softmax(dim=-1)[..., -1]
