# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
from mmengine.optim import OptimWrapper

from tests.helpers.tiny_models import STAGES, build_model, make_batch, repeatable_rand


def weights_after_an_update(stage, batches):
    torch.manual_seed(0)
    model = build_model(stage).train()
    before = {name: value.clone() for name, value in model.named_parameters()}
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1.0), accumulative_counts=len(batches))
    optimizer.initialize_count_status(model, 0, len(batches))
    for batch in batches:
        assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
        if stage == 'DVISOffline':  # it would remember the clip before
            model.refiner.reid_loss.memory.counts.zero_()
        model.train_step(batch, optimizer)
    return {name: value - before[name] for name, value in model.named_parameters() if value.requires_grad}


@pytest.mark.parametrize('stage', STAGES)
def test_gradients_are_those_of_the_whole_batch(stage, monkeypatch):
    """Two clips with as many objects each, at once and one after the other."""
    monkeypatch.setattr(torch, 'rand', repeatable_rand)
    batch = make_batch(2, size=(40, 56))
    parts = [{key: value[i:i + 1] for key, value in batch.items()} for i in range(2)]
    whole, summed = (weights_after_an_update(stage, batches) for batches in ([batch], parts))
    largest = max(step.norm() for step in whole.values())
    for name, step in whole.items():
        assert (summed[name] - step).norm() <= 1e-4 * max(step.norm(), 1e-2 * largest), name
    assert largest > 0
