# Copyright (c) The mmvc contributors. All rights reserved.
import torch
from mmdet.models import ResNet
from torch import nn

from mmvc.models.cpu.batch_norm_folding import fold_batch_norm


class Backbone(nn.Module):
    """Gives what its first convolution writes with and without the norm."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, x):
        x = self.conv1(x)
        return x, self.bn1(x)


def with_statistics(backbone):
    """Batch norms that do something, in evaluation mode."""
    torch.manual_seed(0)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    backbone.eval()
    return backbone


def num_batch_norms(module):
    return sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())


@torch.no_grad()
def test_resnet_gives_the_same_without_its_batch_norms():
    backbone = with_statistics(ResNet(depth=18, base_channels=8, out_indices=(0, 1, 2, 3)))
    folded = fold_batch_norm(backbone)
    assert num_batch_norms(folded) == 0 and num_batch_norms(backbone) == 20
    image = torch.randn(2, 3, 96, 64)
    for actual, expected in zip(folded(image), backbone(image)):
        assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


@torch.no_grad()
def test_a_backbone_that_uses_a_convolution_without_its_norm_stays_as_it_is():
    backbone = with_statistics(Backbone())
    assert fold_batch_norm(backbone) is backbone


def test_a_backbone_without_batch_norm_stays_as_it_is():
    backbone = nn.Conv2d(3, 4, 3)
    assert fold_batch_norm(backbone) is backbone
