# Copyright (c) The mmvc contributors. All rights reserved.
"""Numbers of the official DVIS++ code (zhang-tao-whu/DVIS_Plus, commit c0eb249): reading, renaming, comparing them.

Files hold inputs, weights under ``sd/<official name>``, recorded random draws and outputs; of a parameter's gradient
its norm and every 97th value.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmvc.models.official_weights.rules import Rules, expand
from mmvc.models.utils import decode_masks


def load_golden(data_dir: Path, name: str) -> dict[str, Tensor]:
    """Read ``data/modules/<name>.npz``."""
    with np.load(data_dir / f'modules/{name}.npz') as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files if key != 'meta'}


def below(golden: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries under a prefix, named without it."""
    return {key[len(prefix):]: value for key, value in golden.items() if key.startswith(prefix)}


def names_here(names: Iterable[str], rules: Rules) -> dict[str, str]:
    """Official name of every parameter of a module -> its name here."""
    entries = expand(rules, names)
    assert entries.keys() == set(names)
    return {name: entry.ours for name, entry in entries.items()}


def module_weights(golden: dict[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """State dict of a single module."""
    weights = below(golden, 'sd/')
    here = names_here(weights, rules)
    return {here[name]: value for name, value in weights.items()}


def assert_close(actual: Tensor, expected: Tensor, tolerance: float = 1e-4, what: str = '') -> None:
    """Compare shapes, and values relative to the largest expected one."""
    assert actual.shape == expected.shape, (what, actual.shape, expected.shape)
    expected = expected.to(actual.device, actual.dtype)
    difference = (actual.detach() - expected).abs().max().item()
    assert difference <= tolerance * expected.abs().max().item(), (what, difference)


def btqc(x: Tensor) -> Tensor:
    """Embeddings of the official axis order (b, c, t, q) in ours, (B, T, Q, C)."""
    return x.permute(0, 2, 3, 1)


def bqt_masks(mask_embeds: Tensor, mask_features: Tensor) -> Tensor:
    """Mask logits in the official axis order (b, q, t, h, w)."""
    return decode_masks(mask_embeds, mask_features).transpose(1, 2)


def mean_square(x: Tensor) -> Tensor:
    return x.square().mean()


def assert_gradients_equal(module: nn.Module, golden: dict[str, Tensor], rules: Rules) -> None:
    """Compare the gradient of every parameter: its norm, and every 97th value."""
    parameters = dict(module.named_parameters())
    norms, samples = below(golden, 'train/grad_norm/'), below(golden, 'train/grad_sample/')
    here = names_here(norms, rules)
    assert set(here.values()) == parameters.keys()
    largest = max(norm.item() for norm in norms.values())
    for name, norm in norms.items():
        gradient = parameters[here[name]].grad
        # a gradient that is zero but for round-off (a key's bias) has no relative precision
        scale = max(norm.item(), 1e-3 * largest)
        assert abs(gradient.norm().item() - norm.item()) <= 1e-4 * scale, name
        assert (gradient.flatten()[::97] - samples[name]).abs().max() <= 1e-4 * scale, name


def check_layers(
        layers: list[tuple[Tensor, Tensor]],
        golden: dict[str, Tensor],
        mask_features: Tensor,
        adapt_scores: Callable[[Tensor], Tensor] = lambda cls_scores: cls_scores) -> Tensor:
    """Compare what the two layers before the last one predict with the official auxiliary outputs.

    Args:
        layers (list[tuple[Tensor, Tensor]]): Class scores and mask embeddings of each layer.
        golden (dict[str, Tensor]): The official outputs.
        mask_features (Tensor): What the mask embeddings are multiplied with.
        adapt_scores (Callable): Gives class scores the shape of the official ones. Defaults to no change.

    Returns:
        Tensor: Sum of the mean squares of scores and masks, to be a part of a loss.
    """
    assert len(layers) == 2
    total = torch.zeros(())
    for i, (cls_scores, mask_embeds) in enumerate(layers):
        masks = bqt_masks(mask_embeds, mask_features)
        assert_close(adapt_scores(cls_scores), golden[f'train/out/aux_outputs/{i}/pred_logits'])
        assert_close(masks, golden[f'train/out/aux_outputs/{i}/pred_masks'])
        total = total + mean_square(cls_scores) + mean_square(masks)
    return total


def assert_losses_train(module: nn.Module, losses: dict[str, Tensor], untrained: Iterable[str] = ()) -> None:
    """Check that three layers have their losses, and that these train every parameter but the untrained ones."""
    terms = ('loss_cls', 'loss_mask', 'loss_dice')
    assert set(losses) == {*terms, 'loss_reid', *(f'd{i}.{term}' for i in range(2) for term in terms)}
    sum(losses.values()).backward()
    for name, parameter in module.named_parameters():
        if name not in untrained:
            assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


def random_targets(num: int, num_classes: int, *size: int, present: Tensor | None = None) -> InstanceData:
    """``num`` objects with random classes and masks (num, \\*size); ``present`` (num, T) for clips."""
    masks = (torch.rand(num, *size) > 0.5).to(torch.uint8)
    targets = InstanceData(labels=torch.randint(num_classes, (num, )), instances_ids=torch.arange(num), masks=masks)
    if present is not None:
        masks[~present] = 0
        targets.present = present
    return targets
