# Copyright (c) The mmvc contributors. All rights reserved.
from types import SimpleNamespace

import pytest
import torch

from mmvc.engine.hooks import ActivationCheckpointHook
from mmvc.utils.errors import UsageError
from tests.helpers.tiny_models import STAGES, build_model, make_batch


def losses_and_saved_bytes(model, batch):
    """Losses, gradients, and the bytes of what is kept for the backward pass."""
    torch.manual_seed(0)
    saved = {}

    def pack(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
    total = sum(saved.values())
    sum(losses.values()).backward()
    return losses, {name: p.grad for name, p in model.named_parameters() if p.requires_grad}, total


@pytest.mark.parametrize('stage', STAGES)
def test_same_gradients_with_less_memory(stage):
    plain = build_model(stage).train()
    frugal = build_model(stage).train()
    frugal.load_state_dict(plain.state_dict())
    ActivationCheckpointHook().before_train(SimpleNamespace(model=frugal))
    batch = make_batch()
    losses, gradients, saved = losses_and_saved_bytes(plain, batch)
    frugal_losses, frugal_gradients, frugal_saved = losses_and_saved_bytes(frugal, batch)
    for name, loss in losses.items():
        torch.testing.assert_close(frugal_losses[name], loss)
    for name, gradient in gradients.items():
        torch.testing.assert_close(frugal_gradients[name], gradient)
    assert frugal_saved < 0.9 * saved


def test_named_modules():
    model = build_model('DVISOffline').train()
    hook = ActivationCheckpointHook(['refiner.layers.*.ffn', 'tracker.layers.0'])
    hook.before_train(SimpleNamespace(model=model))
    wrapped = [name for name, module in model.named_modules() if 'forward' in vars(module)]
    assert wrapped == ['refiner.layers.0.ffn', 'refiner.layers.1.ffn']  # the tracker is frozen
    with pytest.raises(UsageError, match='no module "refiner.blocks.*"; it has .*tracker'):
        ActivationCheckpointHook(['refiner.blocks.*']).before_train(SimpleNamespace(model=model))
