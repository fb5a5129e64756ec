# Copyright (c) The mmvc contributors. All rights reserved.
"""The base class, by a model without a tracker: its encoder propagates the queries from frame to frame."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmvc.models import BaseVideoSegmentor
from mmvc.models.utils import FeatureStore, decode_masks
from tests.helpers.masked_clips import mask_clips
from tests.helpers.tiny_models import SEGMENTER, make_batch, make_video, stacked

NUM_CLASSES, NUM_QUERIES, CHANNELS = 4, 5, 8


class EncoderOnly(BaseVideoSegmentor):
    """The state is all that it carries from frame to frame: the next frame's queries (B, Q, C)."""

    is_online = True

    def __init__(self, **kwargs):
        super().__init__(
            NUM_CLASSES, postprocessor=dict(type='VSSPostprocessor'), data_preprocessor=SEGMENTER['data_preprocessor'],
            **kwargs)
        self.encoder = nn.Conv2d(3, CHANNELS, 4, stride=4)
        self.queries = nn.Parameter(torch.randn(NUM_QUERIES, CHANNELS))
        self.updater = nn.Linear(CHANNELS, CHANNELS)
        self.cls_embed = nn.Linear(CHANNELS, NUM_CLASSES + 1)

    def process_window(self, frames, state=None):
        cls_scores, masks = [], []
        state = self.queries.expand(len(frames), -1, -1) if state is None else state
        for frame in frames.unbind(1):
            features = self.encoder(frame)
            tokens = features.flatten(2).transpose(1, 2)
            queries = state + (state @ tokens.transpose(1, 2)).softmax(-1) @ tokens
            cls_scores.append(self.cls_embed(queries))
            masks.append(decode_masks(queries, features))
            state = self.updater(queries) + self.queries
        return dict(cls_scores=torch.stack(cls_scores, 1), mask_features=torch.stack(masks, 1)), state

    def segment(self, inputs):
        return self.process_window(inputs)[0]

    def stage_loss(self, inputs, data_samples, sample_weights):
        losses = self.segment(inputs)['mask_features'].square().flatten(1).mean(1)
        return dict(loss_mask=(losses * sample_weights).sum())

    def optimize_for_inference(self, compile=False):
        pass


@pytest.fixture
def model():
    init_default_scope('mmvc')
    return EncoderOnly(masked_loss_weight=0.25)


def test_state_goes_from_window_to_window_and_not_from_video_to_video(model):
    video = torch.randint(256, (7, 3, 50, 70), dtype=torch.uint8)
    outputs = []
    for window_size in (7, 3, 1):
        model.window_size = window_size
        sample, = model.eval().predict([video], make_video(7, (50, 70), (60, 80)))
        outputs.append(stacked(sample, 'pred_sem_seg', 'sem_seg'))
        assert outputs[-1].shape == (7, 1, 60, 80)
    assert torch.equal(outputs[0], outputs[1]) and torch.equal(outputs[0], outputs[2])
    with torch.no_grad():
        frames = model.data_preprocessor.prepare_frames(video)
        resumed = model.process_window(frames[:, 1:], model.process_window(frames[:, :1])[1])[0]
        anew = model.process_window(frames[:, 1:])[0]
    assert not torch.allclose(resumed['mask_features'], anew['mask_features'])


def test_stream_has_the_masks_of_predict(model):
    video = torch.randint(256, (4, 3, 64, 96), dtype=torch.uint8)
    seen, segment = [], model.postprocessor.start_stream()
    model.postprocessor.start_stream = lambda: lambda prediction: seen.append(prediction) or segment(prediction)
    frames = list(model.eval().stream(video.split(1), (64, 96)))
    expected = model.predict_video([video], (64, 96))
    assert len(frames) == 4 and frames[0].pred_sem_seg.sem_seg.shape == (1, 64, 96)
    torch.testing.assert_close(seen[-1].class_probs, expected.class_probs)
    for prediction, masks in zip(seen, expected.frames()):
        torch.testing.assert_close(next(prediction.frames()), masks, rtol=1e-4, atol=1e-4)


def test_the_callers_store_is_filled_and_the_models_settings_stay(model):
    store, settings = FeatureStore(memory_limit=0), model.feature_store
    prediction = model.eval().predict_video([torch.zeros(2, 3, 64, 96, dtype=torch.uint8)], (64, 96), store)
    assert prediction.mask_features is store and len(store) == 2 and store.bytes_on_disk > 0
    assert model.feature_store is settings == {}


def test_losses_of_both_passes(model):
    np.random.seed(0)
    batch = mask_clips(make_batch(2), [dict(type='RandomPatchMask', mode='sum')] * 2)
    batch = model.data_preprocessor(deepcopy(batch), training=True)
    losses = model(**batch, mode='loss')
    assert set(losses) == {'loss_mask', 'masked.loss_mask'}
    for name, passes in (('loss_mask', ('clean', )), ('masked.loss_mask', ('masked', ))):
        one, = model(**batch, mode='loss', passes=passes).items()
        assert one[0] == name and torch.equal(one[1], losses[name])
    model.masked_loss_weight = 0.5
    torch.testing.assert_close(
        model(**batch, mode='loss')['masked.loss_mask'], 2 * losses['masked.loss_mask'])


def test_what_a_child_must_define():
    with pytest.raises(TypeError, match='abstract.*optimize_for_inference.*process_window.*segment.*stage_loss'):
        BaseVideoSegmentor(2, dict(type='VSSPostprocessor'))


def test_window_without_frames_is_refused(model):
    with pytest.raises(ValueError, match='window_size'):
        type(model)(window_size=0)
