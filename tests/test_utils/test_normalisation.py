# Copyright (c) The mmvc contributors. All rights reserved.
import gc

import pytest
import torch
from mmengine.model import BaseDataPreprocessor, BaseModel, ImgDataPreprocessor
from torch import nn

from mmvc.utils.normalisation import hidden_color, same_pixel, watch_models, zero_pixel, zero_pixel_of_models


class Network(BaseModel):

    def __init__(self, data_preprocessor=None, **parts):
        super().__init__(data_preprocessor)
        for name, part in parts.items():
            setattr(self, name, part() if callable(part) and not isinstance(part, nn.Module) else part)

    def forward(self, *args, **kwargs):
        """Not used."""


def preprocessor(*mean, **kwargs):
    return ImgDataPreprocessor(mean=mean, std=[1.] * len(mean), **kwargs)


def test_zero_pixel_is_in_the_order_of_the_inputs():
    assert zero_pixel(preprocessor(1., 2., 3.)) == (1, 2, 3)
    assert zero_pixel(preprocessor(1., 2., 3., bgr_to_rgb=True)) == (3, 2, 1)
    assert zero_pixel(preprocessor(5.)) == (5, )
    assert zero_pixel(ImgDataPreprocessor()) == zero_pixel(None) == (0, )
    older = nn.Module()  # MMSegmentation 1.2
    older.mean, older.channel_conversion = torch.tensor([1., 2., 3.]).view(3, 1, 1), True
    assert zero_pixel(older) == (3, 2, 1)


def test_colour_in_pictures_is_rgb():
    assert hidden_color(preprocessor(1., 2., 3., bgr_to_rgb=True)) == (1, 2, 3)
    assert hidden_color(preprocessor(1., 2., 3.)) == (3, 2, 1)  # the mean is that of B, G, R
    assert hidden_color(None) == (0, 0, 0)


def test_the_newest_model_in_use_counts():
    assert zero_pixel_of_models() is None
    first = Network(preprocessor(1.))
    second = Network(preprocessor(2.))
    assert zero_pixel_of_models() == (2, )
    del second
    gc.collect()
    assert zero_pixel_of_models() == (1, )
    assert Network() is not None and zero_pixel_of_models() == (1, )  # says nothing of normalisation
    assert first is not None


def test_a_replaced_data_preprocessor_does_not_count():
    model = Network(preprocessor(1.))
    model.data_preprocessor = preprocessor(2.)
    assert zero_pixel_of_models() == (2, )
    model.data_preprocessor = BaseDataPreprocessor()
    assert zero_pixel_of_models() is None


def test_models_inside_of_others_do_not_count():
    teacher = Network(preprocessor(7.))
    outer = Network(preprocessor(1.), detector=lambda: Network(preprocessor(2.)), teacher=teacher)
    assert zero_pixel_of_models() == (1, ) and outer is not None


def test_preprocessor_that_wraps_another():
    wrapper = BaseDataPreprocessor()
    wrapper.data_preprocessor = preprocessor(4.)
    model = Network(wrapper)
    assert zero_pixel_of_models() == (4, ) and model is not None


def test_values_are_those_of_the_construction():
    model = Network(preprocessor(3.))
    model.to('meta')  # as on a GPU, which a forked worker cannot read
    assert zero_pixel_of_models() == (3, )
    with torch.device('meta'):
        other = Network(preprocessor(9.))
    assert zero_pixel_of_models() == (3, ) and other is not None


def test_watching_twice_is_watching_once():
    watch_models()
    hooks = nn.modules.module._global_module_registration_hooks.values()
    assert sum(hook.__module__ == 'mmvc.utils.normalisation' for hook in hooks) == 1


@pytest.mark.parametrize('one, other, same', [
    ((1, 2, 3), (1.5, 2, 2.5), True), ((1, 2, 3), (1, 2, 4), False), ((127, ), (127, 127, 127), True),
    ((0, ), (0, 0, 1), False)])
def test_same_pixel(one, other, same):
    assert same_pixel(one, other) is same is same_pixel(other, one)
