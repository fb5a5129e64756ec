# Copyright (c) The mmvc contributors. All rights reserved.
"""Plain vision transformers with register tokens: the encoders of encoder-only segmentors.

Sources: Oquab et al., "DINOv2" (arXiv 2304.07193); Darcet et al., "Vision Transformers Need Registers" (arXiv
2309.16588); Siméoni et al., "DINOv3" (arXiv 2508.10104).
"""

import math

import torch
from mmengine.model import BaseModule, trunc_normal_init
from torch import Tensor, nn

from mmvc.registry import MODELS
from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError

from ..layers.rotary_position import RotaryPosition, Rotation
from ..layers.transformer_block import PatchEmbed, TransformerBlock
from ..utils.bicubic import resize_bicubic
from ..utils.exporting import is_exporting

#: size -> (embed_dims, depth, num_heads)
ARCHITECTURES = dict(small=(384, 12, 6), base=(768, 12, 12), large=(1024, 24, 16))


@MODELS.register_module()
class PlainViT(BaseModule):
    """Vision transformer whose tokens are a class token, registers, and the patches of an image of any size.

    It holds the parts; how tokens pass through the blocks is up to :class:`QueryDecoder`.

    Args:
        arch (str | dict): ``'small'``, ``'base'``, ``'large'``, or a dict of ``embed_dims`` (channels D of a token),
            ``depth`` (number of blocks) and ``num_heads``.
        position (str): ``'absolute'``, a learned table that is added to the patches (DINOv2), or ``'rope'``, a
            rotation of queries and keys (DINOv3). DINOv3's keys have no bias.
        patch_size (int): Side of a patch in pixels. Defaults to 16.
        position_grid (int): Side of the learned table in patches. Images with another grid get a resampled table.
            ``'rope'`` does not use it. Defaults to 40, for 640 x 640 pixels.
        num_registers (int): Register tokens. Defaults to 4.
        layer_scale (float): Initial value of the layer scales, overwritten by pretrained weights. Use 1 to train from
            random weights in a short time. Defaults to 1e-5, as in DINOv2 and DINOv3.
        init_cfg (dict, optional): Initialisation of :class:`mmengine.model.BaseModule`.

    Raises:
        ValueError: ``arch`` or ``position`` is unknown, ``num_heads`` does not divide ``embed_dims``, or a number is
            out of range.
    """

    def __init__(self,
                 arch: str | dict,
                 position: str,
                 patch_size: int = 16,
                 position_grid: int = 40,
                 num_registers: int = 4,
                 layer_scale: float = 1e-5,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if isinstance(arch, str):
            if arch not in ARCHITECTURES:
                raise ValueError(f'`arch` of PlainViT is one of {list(ARCHITECTURES)}, or a dict of embed_dims, depth '
                                 f'and num_heads; got {arch!r}')
            embed_dims, depth, num_heads = ARCHITECTURES[arch]
        else:
            if set(arch) != {'embed_dims', 'depth', 'num_heads'}:
                raise ValueError('`arch` of PlainViT is a dict of embed_dims, depth and num_heads; got the keys '
                                 f'{sorted(arch)}')
            embed_dims, depth, num_heads = arch['embed_dims'], arch['depth'], arch['num_heads']
        if position not in ('absolute', 'rope'):
            raise ValueError(f"`position` of PlainViT is 'absolute' (DINOv2) or 'rope' (DINOv3), got {position!r}")
        if embed_dims % num_heads:
            raise ValueError(f'num_heads={num_heads} must divide embed_dims={embed_dims}: change one of them')
        for name, value, least in (('patch_size', patch_size, 1), ('position_grid', position_grid, 1),
                                   ('num_registers', num_registers, 0)):
            check_number(f'encoder.{name}', value, least, whole=True)
        is_absolute = position == 'absolute'
        eps = 1e-6 if is_absolute else 1e-5
        self.embed_dims = embed_dims
        self.num_heads = num_heads
        self.patch_size = patch_size
        self.num_prefix_tokens = 1 + num_registers
        self.patch_embed = PatchEmbed(patch_size, embed_dims)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.register_tokens = nn.Parameter(torch.zeros(1, num_registers, embed_dims))
        self.pos_embed = nn.Parameter(torch.zeros(1, position_grid**2, embed_dims)) if is_absolute else None
        self.position_grid = position_grid
        self.rotary = None if is_absolute else RotaryPosition(embed_dims // num_heads)
        self.blocks = nn.ModuleList(
            TransformerBlock(embed_dims, num_heads, eps=eps, key_bias=is_absolute, layer_scale=layer_scale)
            for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dims, eps=eps)

    def init_weights(self) -> None:
        """Draw linear layers, tokens and table from a normal distribution (std 0.02), then apply ``init_cfg``."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_init(module, std=0.02)
        for tokens in (self.cls_token, self.register_tokens, self.pos_embed):
            if tokens is not None:
                nn.init.trunc_normal_(tokens, std=0.02)
        super().init_weights()

    def explain_shape(self, name: str, shape: tuple[int, ...]) -> str | None:
        """Setting with which a parameter has the shape that it has in a checkpoint.

        Args:
            name (str): Name of the parameter in this module.
            shape (tuple[int, ...]): Its shape in the checkpoint.

        Returns:
            str | None: The setting. None if no setting gives that shape.
        """
        if name == 'pos_embed' and len(shape) == 3 and math.isqrt(shape[1])**2 == shape[1]:
            return f'set position_grid={math.isqrt(shape[1])} of the encoder; the table is resampled to any frame size'
        if name == 'register_tokens' and len(shape) == 3:
            return f'set num_registers={shape[1]} of the encoder'
        return None

    def grid_of(self, images: Tensor) -> tuple[int, int]:
        """Number of patches (rows, columns) of images (N, 3, H, W).

        Raises:
            UsageError: H or W is not a multiple of the patch size.
        """
        height, width = images.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            raise UsageError(f'frames of {height} x {width} pixels do not divide into patches of {self.patch_size}: '
                             'set model.data_preprocessor.pad_size_divisor to a multiple of the patch size')
        return height // self.patch_size, width // self.patch_size

    def embed(self, images: Tensor) -> Tensor:
        """Compute the tokens that enter the first block.

        Args:
            images (Tensor): Normalised images, shape (N, 3, H, W); H and W multiples of ``patch_size``.

        Returns:
            Tensor: Class token, registers, patches: shape (N, R + h w, D), with R = 1 + ``num_registers``.
        """
        grid = self.grid_of(images)
        patches = self.patch_embed(images)
        if self.pos_embed is not None:
            patches = patches + self.resample_table(grid).to(patches.dtype)
        prefix = torch.cat([self.cls_token, self.register_tokens], dim=1).to(patches.dtype)
        return torch.cat([prefix.expand(len(images), -1, -1), patches], dim=1)

    def resample_table(self, grid: tuple[int, int]) -> Tensor:
        """Resample the learned position table to a grid, bicubic with antialiasing.

        Args:
            grid (tuple[int, int]): Patches (rows h, columns w).

        Returns:
            Tensor: Shape (1, h w, D).
        """
        assert self.pos_embed is not None
        side = self.position_grid
        if not is_exporting() and grid == (side, side):
            return self.pos_embed
        table = self.pos_embed.float().view(1, side, side, -1).permute(0, 3, 1, 2)
        table = resize_bicubic(table, size=grid, antialias=True)
        return table.flatten(2).transpose(1, 2).to(self.pos_embed.dtype)

    def rotation(self, grid: tuple[int, int], log_rescale: Tensor | None = None) -> Rotation | None:
        """Rotation of the patches, None with a learned table; the arguments are those of :class:`RotaryPosition`."""
        return None if self.rotary is None else self.rotary(grid, self.cls_token.device, log_rescale)
