# Copyright (c) The mmvc contributors. All rights reserved.
"""Parameter groups of the official VidEoMT, PMT and LVMT: read, renamed, and models with parameters of these names."""

import gzip
import json
import re
from pathlib import Path

import torch
from torch import nn

#: official name -> ours, one after the other
RENAMED = [
    (r'^backbone\.encoder\.backbone\.', 'encoder.'),
    (r'^backbone\.(decoder\.)?(query_updater)', 'propagation.fc'),
    (r'^backbone\.(decoder\.)?(query_gru)', 'propagation.cell'),
    (r'^backbone\.(decoder\.)?q\.', 'query_embed.'),
    (r'^backbone\.(decoder\.)?class_head', 'head.cls_embed'),
    (r'^backbone\.(decoder\.)?mask_head', 'head.mask_embed'),
    (r'^backbone\.(decoder\.)?upscale', 'head.upscale'),
    (r'^backbone\.bn', 'decoder.level_norms'),
    (r'^backbone\.', ''),
    ('lateral_projections', 'projections'), ('scalers', 'scales'), ('decoder_norm', 'norm'),
    (r'conv1', 'deconv'), (r'conv2', 'depthwise'),
    (r'patch_embed\.cls_token', 'cls_token'), (r'patch_embed\.register_tokens', 'register_tokens'),
    (r'\breg_token', 'register_tokens'), ('patch_embeddings', 'proj'),
    (r'attention\.o_proj', 'attn.proj'), (r'attention\.([qv])_proj\.bias', r'attn.\1_bias'),
    (r'attention\.[kqv]_proj', 'attn.qkv'),
    (r'layer_scale(\d)\.lambda1', r'ls\1.gamma'), ('up_proj', 'fc1'), ('down_proj', 'fc2'),
]


def official_groups(data_dir: Path, model: str) -> dict[str, tuple[float, float, str]]:
    """Factor on the learning rate, weight decay and part (``'encoder'``, ``'new'``) by our name of the parameter."""
    with gzip.open(data_dir / 'encoder_only/optimiser.json.gz') as file:
        rows = json.load(file)[model]
    groups: dict[str, tuple[float, float, str]] = {}
    for name, *settings in rows:
        for pattern, ours in RENAMED:
            name = re.sub(pattern, ours, name)
        assert groups.setdefault(name, tuple(settings)) == tuple(settings)  # queries, keys, values
    return groups


def model_of(names) -> nn.Module:
    """A model with parameters of one number each; children that are numbered lie in a list."""
    tree: dict = {}
    for name in names:
        *path, last = name.split('.')
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = None
    return _module(tree)


def _module(tree: dict) -> nn.Module:
    if all(key.isdigit() for key in tree):
        if None in tree.values():
            return nn.ParameterList(nn.Parameter(torch.ones(1)) for _ in tree)
        children = {int(key): _module(child) for key, child in tree.items()}
        return nn.ModuleList(children.get(index, nn.Identity()) for index in range(max(children) + 1))
    module = nn.Module()
    for key, child in tree.items():
        if child is None:
            module.register_parameter(key, nn.Parameter(torch.ones(1)))
        else:
            module.add_module(key, _module(child))
    return module
