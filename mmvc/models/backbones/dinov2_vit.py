# Copyright (c) The mmvc contributors. All rights reserved.
"""The plain vision transformer of DINOv2.

Source: Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024; layer scale: Touvron et
al., "Going deeper with Image Transformers", ICCV 2021.
"""

import torch
from mmengine.model import BaseModule, trunc_normal_init
from torch import Tensor, nn

from ..layers.transformer_block import PatchEmbed, TransformerBlock
from ..utils.bicubic import resize_bicubic
from ..utils.exporting import is_exporting


class DINOv2ViT(BaseModule):
    """Vision transformer with a class token and a learned position embedding that is interpolated to the image.

    Parameter names are those of the official DINOv2 checkpoints.

    Args:
        embed_dims (int): Channels C of a token.
        depth (int): Number of transformer layers.
        num_heads (int): Attention heads of a layer; divides ``embed_dims``.
        patch_size (int): Side of a patch in pixels.
        pretrained_grid (int): Patches along each side of the images that the position embedding was trained on.
        init_cfg (dict, optional): Initialisation of :class:`mmengine.model.BaseModule`.

    Raises:
        ValueError: If ``num_heads`` does not divide ``embed_dims``.
    """

    def __init__(self,
                 embed_dims: int,
                 depth: int,
                 num_heads: int,
                 patch_size: int = 16,
                 pretrained_grid: int = 37,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if embed_dims % num_heads:
            raise ValueError(f'num_heads={num_heads} must divide embed_dims={embed_dims}: change one of them')
        self.patch_size = patch_size
        self.pretrained_grid = pretrained_grid
        self.patch_embed = PatchEmbed(patch_size, embed_dims)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + pretrained_grid**2, embed_dims))
        # only DINOv2's own pretraining uses it; it is here so that checkpoints load strictly
        self.mask_token = nn.Parameter(torch.zeros(1, embed_dims), requires_grad=False)
        self.blocks = nn.ModuleList(TransformerBlock(embed_dims, num_heads) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dims, eps=1e-6)

    def init_weights(self) -> None:
        """Draw linear layers and position embedding from a normal distribution (std 0.02), then apply ``init_cfg``."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_init(module, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        super().init_weights()

    def interpolate_pos_embed(self, grid: tuple[int, int]) -> Tensor:
        """Interpolate the position embedding of the class token and of every patch.

        Args:
            grid (tuple[int, int]): Patches of the image, (rows, columns).

        Returns:
            Tensor: Shape (1, 1 + rows * columns, C).
        """
        side = self.pretrained_grid
        if not is_exporting() and tuple(grid) == (side, side):
            return self.pos_embed
        class_pos, patch_pos = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        patch_pos = patch_pos.view(1, side, side, -1).permute(0, 3, 1, 2)
        if is_exporting():
            from .position_resampling import resample_positions  # nothing else needs it
            patch_pos = resample_positions(patch_pos, grid)
            return torch.cat([class_pos, patch_pos.flatten(2).transpose(1, 2)], dim=1)
        # DINOv2 samples positions at a scale of (n + 0.1) / side; n / side, or a size, gives visibly other features
        scale = tuple((n + 0.1) / side for n in grid)
        patch_pos = resize_bicubic(patch_pos, scale_factor=scale)
        return torch.cat([class_pos, patch_pos.flatten(2).transpose(1, 2)], dim=1)

    def embed(self, images: Tensor) -> Tensor:
        """Compute the tokens that enter the first layer.

        Args:
            images (Tensor): Normalised images, shape (B, 3, H, W); H and W multiples of ``patch_size``.

        Returns:
            Tensor: Class token and patches with their positions, shape (B, 1 + H / patch_size * W / patch_size, C).
        """
        grid = (images.shape[-2] // self.patch_size, images.shape[-1] // self.patch_size)
        tokens = self.patch_embed(images)
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        return tokens + self.interpolate_pos_embed(grid)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the normalised features of all patches.

        Args:
            images (Tensor): Normalised images, shape (B, 3, H, W); H and W multiples of ``patch_size``.

        Returns:
            Tensor: Shape (B, H / patch_size * W / patch_size, C).
        """
        x = self.embed(images)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 1:]
