# Copyright (c) The mmvc contributors. All rights reserved.
"""Names of encoder-only models and their encoders in other projects, and their names here.

The tables are like those of :mod:`.rules`, with one addition: parameters that have the same name here are joined along
their first axis, in the order of the table (query, key, value).
"""

from collections.abc import Collection, Sequence

from torch import Tensor

from .rules import BATCH_NORM, Rule, Rules

_WHOLE = ('', )
_GRU = ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')


def below(official: str, ours: str, rules: Rules) -> list[Rule]:
    """Put a table below a prefix of the official names, and below one of the names here."""
    return [rule._replace(official=official + rule.official, ours=ours + rule.ours) for rule in rules]


def _separate(inputs: Sequence[str], out: str, key_bias: bool) -> list[Rule]:
    """Attention with a linear layer for each of query, key and value."""
    query, _, value = inputs
    rules = [Rule(f'{name}.weight', 'attn.qkv.weight', _WHOLE) for name in inputs]
    if key_bias:
        rules += [Rule(f'{name}.bias', 'attn.qkv.bias', _WHOLE) for name in inputs]
    else:
        rules += [Rule(f'{query}.bias', 'attn.q_bias', _WHOLE), Rule(f'{value}.bias', 'attn.v_bias', _WHOLE)]
    return [*rules, Rule(out, 'attn.proj')]


def _block(attention: Rules, scales: tuple[str, str], mlp: tuple[str, str] = ('mlp.fc1', 'mlp.fc2')) -> list[Rule]:
    """A pre-norm block with layer scale."""
    return [
        Rule('norm1', 'norm1'), *attention, Rule(scales[0], 'ls1.gamma', _WHOLE),
        Rule('norm2', 'norm2'), Rule(mlp[0], 'mlp.fc1'), Rule(mlp[1], 'mlp.fc2'), Rule(scales[1], 'ls2.gamma', _WHOLE)
    ]


def _add_axis(table: Tensor) -> Tensor:
    """Give a position table (N, C) the shape (1, N, C)."""
    return table[None]


_LAMBDAS = ('layer_scale1.lambda1', 'layer_scale2.lambda1')
_GAMMAS = ('ls1.gamma', 'ls2.gamma')
_FUSED = (Rule('attn.qkv', 'attn.qkv'), Rule('attn.proj', 'attn.proj'))
_UP_DOWN = ('mlp.up_proj', 'mlp.down_proj')
_PROJECTIONS = tuple(f'attention.{name}_proj' for name in 'qkv')

_DINOV2_BLOCK = _block(_FUSED, _GAMMAS)
#: of DINOv3, and of the decoder of PMT and LVMT
_ROPE_BLOCK = _block(_separate(_PROJECTIONS, 'attention.o_proj', key_bias=False), _LAMBDAS, _UP_DOWN)
#: the same after the official code has fused query, key and value (FUSED_QKV)
_FUSED_ROPE_BLOCK = _block((Rule('attention.qkv_proj', 'attn.qkv'), Rule('attention.o_proj', 'attn.proj')), _LAMBDAS,
                           _UP_DOWN)


def _has(names: Collection[str], ending: str) -> bool:
    return any(name.endswith(ending) for name in names)


def _rope_block(names: Collection[str]) -> list[Rule]:
    return _FUSED_ROPE_BLOCK if _has(names, 'attention.qkv_proj.weight') else _ROPE_BLOCK


def timm_dinov2(names: Collection[str]) -> list[Rule]:
    """DINOv2 in timm, also as the encoder of the official models, and (but for the registers' name) Meta's own."""
    registers = [name for name in ('reg_token', 'register_tokens') if name in names]
    return [
        Rule('cls_token', 'cls_token', _WHOLE), *(Rule(name, 'register_tokens', _WHOLE) for name in registers),
        Rule('pos_embed', 'pos_embed', _WHOLE), Rule('patch_embed.proj', 'patch_embed.proj'),
        *below('blocks.{layer}.', 'blocks.{layer}.', _DINOV2_BLOCK), Rule('norm', 'norm')
    ]


def rehung_dinov3(names: Collection[str]) -> list[Rule]:
    """DINOv3 as the encoder of the official models: Hugging Face's, with its parts renamed."""
    return [
        Rule('patch_embed.cls_token', 'cls_token', _WHOLE),
        Rule('patch_embed.register_tokens', 'register_tokens', _WHOLE),
        Rule('patch_embed.patch_embeddings', 'patch_embed.proj'),
        *below('blocks.{layer}.', 'blocks.{layer}.', _rope_block(names)), Rule('norm', 'norm')
    ]


def meta_dinov3(names: Collection[str]) -> list[Rule]:
    """DINOv3 in Meta's own files; the bias of the key is there, but zero or masked."""
    attention = [*_FUSED]
    if _has(names, 'attn.qkv.bias_mask'):
        attention.append(Rule('attn.qkv.bias_mask', 'attn.qkv.bias_mask', _WHOLE))
    return [
        Rule('cls_token', 'cls_token', _WHOLE), Rule('storage_tokens', 'register_tokens', _WHOLE),
        Rule('patch_embed.proj', 'patch_embed.proj'),
        *below('blocks.{layer}.', 'blocks.{layer}.', _block(attention, _GAMMAS)), Rule('norm', 'norm')
    ]


def timm_dinov3(names: Collection[str]) -> list[Rule]:
    """DINOv3 in timm, whose biases of query and value are there only in the variants called qkvb."""
    attention = [Rule('attn.qkv.weight', 'attn.qkv.weight', _WHOLE), Rule('attn.proj', 'attn.proj')]
    if _has(names, 'attn.q_bias') or _has(names, 'attn.v_bias'):
        attention += [Rule('attn', 'attn', ('q_bias', 'v_bias'))]
    return [
        Rule('cls_token', 'cls_token', _WHOLE), Rule('reg_token', 'register_tokens', _WHOLE),
        Rule('patch_embed.proj', 'patch_embed.proj'),
        *below('blocks.{layer}.', 'blocks.{layer}.', _block(attention, ('gamma_1', 'gamma_2'))), Rule('norm', 'norm')
    ]


def hugging_face_dinov2(names: Collection[str]) -> list[Rule]:
    """DINOv2 in files of Hugging Face's hub; transformers 5 names the attention anew in memory."""
    if any('.attention.attention.' in name for name in names):
        inputs = [f'attention.attention.{name}' for name in ('query', 'key', 'value')]
        attention = _separate(inputs, 'attention.output.dense', key_bias=True)
    else:
        attention = _separate(_PROJECTIONS, 'attention.o_proj', key_bias=True)
    registers = 'embeddings.register_tokens'
    return [
        Rule('embeddings.cls_token', 'cls_token', _WHOLE),
        *([Rule(registers, 'register_tokens', _WHOLE)] if registers in names else []),
        Rule('embeddings.position_embeddings', 'pos_embed', _WHOLE),
        Rule('embeddings.patch_embeddings.projection', 'patch_embed.proj'),
        *below('encoder.layer.{layer}.', 'blocks.{layer}.', _block(attention, _LAMBDAS)), Rule('layernorm', 'norm')
    ]


def hugging_face_dinov3(names: Collection[str]) -> list[Rule]:
    """DINOv3 in files of Hugging Face's hub; transformers 5 puts the blocks below ``model.`` in memory."""
    layers = 'model.layer' if any(name.startswith('model.layer.') for name in names) else 'layer'
    return [
        Rule('embeddings.cls_token', 'cls_token', _WHOLE),
        Rule('embeddings.register_tokens', 'register_tokens', _WHOLE),
        Rule('embeddings.patch_embeddings', 'patch_embed.proj'),
        *below(f'{layers}.{{layer}}.', 'blocks.{layer}.', _ROPE_BLOCK), Rule('norm', 'norm')
    ]


def is_rope_eomt(names: Collection[str]) -> bool:
    """Whether an EoMT of Hugging Face is ``EomtDinov3ForUniversalSegmentation``, with rotary positions."""
    return _has(names, '.mlp.up_proj.weight')


def hugging_face_eomt_encoder(names: Collection[str]) -> list[Rule]:
    """Encoder of Hugging Face's VidEoMT and EoMT, on DINOv2 or DINOv3."""
    if is_rope_eomt(names):
        block, projection, positions = _ROPE_BLOCK, 'embeddings.patch_embeddings', []
    else:
        block = _block(_separate(_PROJECTIONS, 'attention.out_proj', key_bias=True), _LAMBDAS)
        projection = 'embeddings.patch_embeddings.projection'
        positions = [Rule('embeddings.position_embeddings.weight', 'pos_embed', _WHOLE, _add_axis)]
    return [
        Rule('embeddings.cls_token', 'cls_token', _WHOLE),
        Rule('embeddings.register_tokens', 'register_tokens', _WHOLE), *positions,
        Rule(projection, 'patch_embed.proj'), *below('layers.{layer}.', 'blocks.{layer}.', block),
        Rule('layernorm', 'norm')
    ]


#: below ``backbone.`` or ``backbone.decoder.``
QUERIES_AND_HEAD: Rules = (
    Rule('q', 'query_embed', ('weight', )),
    Rule('class_head', 'head.cls_embed'),
    *(Rule(f'mask_head.{i}', f'head.mask_embed.{i}') for i in (0, 2, 4)),
    Rule('upscale.{step}.conv1', 'head.upscale.{step}.deconv'),
    Rule('upscale.{step}.conv2', 'head.upscale.{step}.depthwise', ('weight', )),
    Rule('upscale.{step}.norm', 'head.upscale.{step}.norm'),
)

#: the same in Hugging Face's classes
HUGGING_FACE_QUERIES_AND_HEAD: Rules = (
    Rule('query', 'query_embed', ('weight', )),
    Rule('class_predictor', 'head.cls_embed'),
    *(Rule(f'mask_head.fc{i}', f'head.mask_embed.{2 * i - 2}') for i in (1, 2, 3)),
    Rule('upscale_block.block.{step}.conv1', 'head.upscale.{step}.deconv'),
    Rule('upscale_block.block.{step}.conv2', 'head.upscale.{step}.depthwise', ('weight', )),
    Rule('upscale_block.block.{step}.layernorm2d', 'head.upscale.{step}.norm'),
)

LINEAR_PROPAGATION: Rules = (Rule('query_updater', 'propagation.fc'), )
GRU_PROPAGATION: Rules = (Rule('query_gru', 'propagation.cell', _GRU), )


def lateral_decoder(names: Collection[str]) -> list[Rule]:
    """Decoder of PMT and LVMT, below ``backbone.``."""
    in_decoder = [name for name in names if name.startswith('backbone.decoder.')]
    return [
        Rule('bn.{level}', 'decoder.level_norms.{level}', (*BATCH_NORM, 'num_batches_tracked')),
        *(Rule(f'decoder.lateral_projections.{{level}}.{i}', f'decoder.projections.{{level}}.{i}') for i in (0, 2)),
        Rule('decoder.scalers.{level}', 'decoder.scales.{level}', _WHOLE),
        *below('decoder.blocks.{block}.', 'decoder.blocks.{block}.', _rope_block(in_decoder)),
        Rule('decoder.decoder_norm', 'decoder.norm')
    ]
