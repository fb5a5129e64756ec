# Copyright (c) The mmvc contributors. All rights reserved.
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule, kaiming_init, trunc_normal_init
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmvc.registry import MODELS
from mmvc.utils.errors import UsageError
from mmvc.utils.type_names import type_name

from .adapter_extractor import Extractor, Interaction, TokenGeometry
from .dinov2_vit import DINOv2ViT
from .dinov2_weights import convert_dinov2_weights
from .spatial_prior import SpatialPriorModule

ARCHITECTURES: dict[str, dict[str, int]] = dict(
    small=dict(embed_dims=384, depth=12, num_heads=6),
    base=dict(embed_dims=768, depth=12, num_heads=12),
    large=dict(embed_dims=1024, depth=24, num_heads=16))


@MODELS.register_module()
class DINOv2ViTAdapter(BaseModule):
    """DINOv2 transformer with a ViT-Adapter: four feature maps from a plain, usually frozen, transformer.

    A small convolutional network computes spatial tokens at 1/8, 1/16 and 1/32. The transformer's layers run in four
    groups; after each group the spatial tokens attend to the patches by deformable attention (extractors). The
    transformer gets no input from the spatial tokens (no injectors), so it can run without gradients.

    Source: Chen et al., "Vision Transformer Adapter for Dense Predictions", ICLR 2023, as used by DVIS++ (Zhang et
    al., "DVIS++: Improved Decoupled Framework for Universal Video Segmentation", 2023). Parameter names are those of
    the official DVIS++ checkpoints.

    Args:
        arch (str | dict): 'small', 'base', 'large' (ViT-S, -B, -L), or a dict with ``embed_dims`` (channels C of every
            output), ``depth`` (transformer layers, a multiple of 4) and ``num_heads`` (of the transformer's and the
            extractors' attention).
        spatial_channels (int): Channels of the convolutional network at 1/4.
        pretrained_grid (int): Patches along each side of the images that the position embedding was trained on.
        frozen_vit (bool): Whether to run the transformer without gradients and always in evaluation mode. Defaults to
            True.
        with_cp (bool): Whether to recompute transformer layers and extractors in the backward pass instead of storing
            their activations. Defaults to False.
        norm_cfg (dict): Normalisation of convolutional network and outputs. The official training used
            ``dict(type='SyncBN')``, which needs CUDA and a process group.
        init_cfg (dict, optional): Initialisation. ``dict(type='Pretrained', checkpoint=...)`` takes weights of this
            backbone, of its transformer alone (``vit_module.*``), or an official DINOv2 ``.pth``; with
            ``prefix='backbone.'`` those of a whole segmenter.

    Raises:
        ValueError: If ``arch`` is unknown, or its depth not a multiple of 4.
    """

    num_interactions = 4

    def __init__(self,
                 arch: str | dict[str, int] = 'large',
                 spatial_channels: int = 64,
                 pretrained_grid: int = 37,
                 frozen_vit: bool = True,
                 with_cp: bool = False,
                 norm_cfg: dict = dict(type='BN'),
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if isinstance(arch, str):
            if arch not in ARCHITECTURES:
                raise ValueError(f"Unknown arch '{arch}': choose one of {list(ARCHITECTURES)}, or give a dict")
            arch = ARCHITECTURES[arch]
        embed_dims, depth, num_heads = arch['embed_dims'], arch['depth'], arch['num_heads']
        if depth % self.num_interactions:
            raise ValueError(f'depth={depth} must be a multiple of {self.num_interactions}, the number of groups')
        self.frozen_vit = frozen_vit
        self.with_cp = with_cp

        self.vit_module = DINOv2ViT(embed_dims, depth, num_heads, pretrained_grid=pretrained_grid)
        # not used: the extractors read the patches before the last normalisation
        self.vit_module.norm.requires_grad_(False)
        if frozen_vit:
            self.vit_module.requires_grad_(False)
        self.spm = SpatialPriorModule(embed_dims, spatial_channels, norm_cfg)
        self.level_embed = nn.Parameter(torch.zeros(3, embed_dims))
        self.interactions = nn.ModuleList(
            Interaction(embed_dims, num_heads, num_extra=2 if i == self.num_interactions - 1 else 0)
            for i in range(self.num_interactions))
        self.up = nn.ConvTranspose2d(embed_dims, embed_dims, kernel_size=2, stride=2)
        for i in range(1, 5):
            self.add_module(f'norm{i}', build_norm_layer(norm_cfg, embed_dims)[1])

    def init_weights(self) -> None:
        """Initialise the adapter, then apply ``init_cfg``.

        Raises:
            UsageError: If ``init_cfg`` names a checkpoint that lacks parameters of the transformer, or has parameters
                that this backbone does not have.
        """
        nn.init.normal_(self.level_embed)
        for module in (*self.spm.modules(), *self.interactions.modules(), self.up):
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                # channels of a depthwise convolution are independent: its fan-in is the fan-out of one channel
                kaiming_init(module, mode='fan_in' if module.groups > 1 else 'fan_out')
            elif isinstance(module, nn.Linear):
                trunc_normal_init(module, std=0.02)
        for module in self.interactions.modules():
            if isinstance(module, Extractor):
                module.attn.init_weights()
        if isinstance(self.init_cfg, dict) and type_name(self.init_cfg) == 'Pretrained':
            self._load_pretrained(self.init_cfg['checkpoint'], self.init_cfg.get('prefix', ''))
            self.is_init = True
        else:
            super().init_weights()

    def _load_pretrained(self, path: str, prefix: str) -> None:
        """Load a checkpoint that holds, below ``prefix``, at least the whole transformer."""
        content = CheckpointLoader.load_checkpoint(path, map_location='cpu')
        state_dict = content.get('state_dict', content)
        state_dict = {key[len(prefix):]: value for key, value in state_dict.items() if key.startswith(prefix)}
        if 'patch_embed.proj.weight' in state_dict:
            state_dict = convert_dinov2_weights(state_dict, self.vit_module.patch_size)
        missing, unexpected = self.load_state_dict(state_dict, strict=False)
        missing = [key for key in missing if key.startswith('vit_module.')]
        if missing or unexpected:
            raise UsageError(f"checkpoint '{path}' does not fit DINOv2ViTAdapter: missing {missing}, unknown "
                             f'{unexpected}. Set backbone.init_cfg.checkpoint to a converted DINOv2 checkpoint, an '
                             'official one, or one of this backbone')

    def train(self, mode: bool = True) -> 'DINOv2ViTAdapter':
        """Set training or evaluation mode; a frozen transformer stays in evaluation mode."""
        super().train(mode)
        if self.frozen_vit:
            self.vit_module.eval()
        return self

    def _run(self, module: nn.Module, *args: Any) -> Tensor:
        """Call a module, storing only its inputs for the backward pass if ``with_cp``."""
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(module, *args, use_reentrant=False)
        return module(*args)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Compute the feature maps.

        Images are padded at the right and at the bottom to multiples of 32 with zeros, which is the mean colour of
        normalised images, and the maps are cropped again.

        Args:
            images (Tensor): Normalised images, shape (B, 3, H, W), of any size.

        Returns:
            tuple[Tensor]: Maps at 1/4, 1/8, 1/16, 1/32, shapes (B, C, ceil(H / s), ceil(W / s)).
        """
        height, width = images.shape[-2:]
        images = F.pad(images, (0, -width % 32, 0, -height % 32))
        shapes = [(images.shape[-2] // stride, images.shape[-1] // stride) for stride in (8, 16, 32)]
        geometry = TokenGeometry.build(shapes, shapes[1], images.device)

        finest, *tokens = self.spm(images)
        queries = torch.cat([x + embed for x, embed in zip(tokens, self.level_embed)], dim=1)
        vit_grad = torch.is_grad_enabled() and not self.frozen_vit
        with torch.set_grad_enabled(vit_grad):
            x = self.vit_module.embed(images)
        blocks = list(self.vit_module.blocks)
        group = len(blocks) // self.num_interactions
        vit_maps = []
        for i, interaction in enumerate(self.interactions):
            with torch.set_grad_enabled(vit_grad):
                for block in blocks[i * group:(i + 1) * group]:
                    x = self._run(block, x)
            patches = x[:, 1:]
            queries = self._run(interaction, queries, patches, geometry)
            vit_maps.append(patches.transpose(1, 2).unflatten(2, shapes[1]))

        levels = queries.transpose(1, 2).split([h * w for h, w in shapes], dim=2)
        maps = [level.unflatten(2, shape) for level, shape in zip(levels, shapes)]
        maps.insert(0, finest + self.up(maps[0]))
        outputs = []
        for i, (x, vit_map) in enumerate(zip(maps, vit_maps), start=1):
            # add the patches of one group of layers to each output: the coarser the output, the deeper the group
            x = x + F.interpolate(vit_map, size=x.shape[-2:], mode='bilinear', align_corners=False)
            x = getattr(self, f'norm{i}')(x)
            stride = 2**(i + 1)
            outputs.append(x[..., :-(-height // stride), :-(-width // stride)])
        return tuple(outputs)
