# Copyright (c) The mmvc contributors. All rights reserved.
import json
import math

import cv2
import numpy as np
import pytest
import torch

from mmvc.analysis.attention import VideoAttention, attention_weights, record_attention
from mmvc.analysis.attention_pictures import heat_map, plot_share
from mmvc.models.layers import ObjectMaskedCrossAttention
from tests.helpers.tiny_models import NUM_QUERIES, REFINER, build_model, make_video, randomize_constants


def softmax_by_hand(module, query, key, dropped=None):
    """softmax(Q K^T / sqrt(C / heads)) of every head, averaged."""
    weight, bias = module.attn.in_proj_weight, module.attn.in_proj_bias
    channels = query.shape[-1]
    q = query @ weight[:channels].T + bias[:channels]
    k = key @ weight[channels:2 * channels].T + bias[channels:2 * channels]
    width = channels // module.num_heads
    heads = []
    for head in range(module.num_heads):
        part = slice(head * width, (head + 1) * width)
        logits = torch.einsum('nqc,nkc->nqk', q[..., part], k[..., part]) / math.sqrt(width)
        if dropped is not None:
            logits = logits.masked_fill(dropped[:, None], -math.inf)
        exp = (logits - logits.amax(-1, keepdim=True)).exp()
        heads.append(exp / exp.sum(-1, keepdim=True))
    return torch.stack(heads).mean(0)


@pytest.mark.parametrize('masked', [False, True])
def test_weights_are_the_softmax(masked):
    module = randomize_constants(ObjectMaskedCrossAttention(16, 4)).eval()
    query, key = torch.randn(3, 5, 16), torch.randn(3, 7, 16)
    dropped = (torch.rand(3, 7) < 0.4) & (torch.arange(7) > 0) if masked else None
    weights = attention_weights(module, query, key, dropped)
    torch.testing.assert_close(weights, softmax_by_hand(module, query, key, dropped))
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 5))
    if masked:
        assert not weights.masked_select(dropped[:, None]).any()


@pytest.fixture
def model():
    """A tiny offline model."""
    return randomize_constants(build_model('DVISOffline')).eval()


def run(model):
    torch.manual_seed(1)
    video = torch.randint(256, (3, 3, 60, 90), dtype=torch.uint8)
    return model.predict([video], make_video(3))[0]


def test_recording_agrees_with_the_refiner_and_changes_nothing(model, monkeypatch):
    calls = []
    forward = ObjectMaskedCrossAttention.forward
    monkeypatch.setattr(ObjectMaskedCrossAttention, 'forward',
                        lambda self, *args: calls.append((self, *args)) or forward(self, *args))
    before = [frame.pred_sem_seg.sem_seg for frame in run(model)]
    clean = calls[:]
    calls.clear()
    state = torch.random.get_rng_state()
    # the empty class of this model is unsure: every key whose score is above the mean is background here
    threshold = clean[0][3].mean().item()
    for layer in model.refiner.layers:
        layer.cross_attn.dropping.threshold = threshold
    with record_attention(model, drop_ratio=0.7) as attention:
        torch.random.set_rng_state(state)
        after = [frame.pred_sem_seg.sem_seg for frame in run(model)]
        drawn = torch.rand(1)
    run(model)
    assert all(a.equal(b) for a, b in zip(before, after))
    assert len(attention.plain) == REFINER['num_layers']  # the second video was not recorded
    torch.manual_seed(1)
    torch.randint(256, (3, 3, 60, 90), dtype=torch.uint8)
    assert drawn.equal(torch.rand(1))  # what OMA draws is no draw of the caller
    assert [layer.cross_attn.dropping.drop_ratio for layer in model.refiner.layers] == [0., 0.]
    empty = clean[0][3]
    assert attention.background.equal(empty >= threshold) and 0 < attention.background.float().mean() < 1
    for (module, query, key, _), plain, masked in zip(clean, attention.plain, attention.masked):
        torch.testing.assert_close(plain, softmax_by_hand(module, query, key))
        dropped = (masked == 0).all(dim=1)
        assert (dropped <= attention.background).all() and 0 < dropped.sum() < attention.background.sum()
        torch.testing.assert_close(masked, softmax_by_hand(module, query, key, dropped))


def test_a_video_refined_in_pieces_is_recorded_as_a_whole(model, monkeypatch):
    with record_attention(model) as attention:
        run(model)
        whole = attention.plain, attention.background
        monkeypatch.setattr('mmvc.models.layers.query_layers.FRAMES_AT_ONCE', 2)
        run(model)
    torch.testing.assert_close((attention.plain, attention.background), whole)


def test_shares_by_hand():
    attention = VideoAttention(
        plain=[torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]]), torch.tensor([[[1., 0., 0.], [0., 0., 1.]]])],
        masked=[torch.tensor([[[1., 0., 0.], [0.2, 0.8, 0.]]])] * 2,
        background=torch.tensor([[False, True, True]]),
        foreground=torch.tensor([True, False]),
        labels=torch.tensor([3, 1]),
        threshold=0.6)
    assert attention.background_share().tolist() == [[0.5], [0.]]
    assert attention.background_share(masked=True).tolist() == [[0.], [0.]]
    numbers = json.loads(json.dumps(attention.numbers()))
    assert numbers['plain'] == dict(share=0.25, by_layer=[0.5, 0.], by_frame=[0.25])
    assert (numbers['foreground_queries'], numbers['background_keys'], numbers['keys']) == (1, 2, 3)
    attention.background = torch.tensor([[True, False, True]])
    assert attention.mean_weights(0, layer=0).tolist() == [[0.25, 0.5, 0.25]]  # foreground keys first
    assert attention.mean_weights(0)[0].tolist() == [0.125, 0.75, 0.125]


def test_foreground_queries_are_those_of_the_refiner(model):
    kept = {}
    handle = model.refiner.register_forward_hook(lambda module, args, result: kept.update(result))
    with record_attention(model) as attention:
        run(model)
    handle.remove()
    probs = kept['cls_scores'][0].softmax(-1)
    assert attention.foreground.equal(probs[:, -1] < 0.6) and attention.foreground.shape == (NUM_QUERIES, )
    assert attention.labels.equal(probs[:, :-1].argmax(-1))


def test_other_models_are_refused():
    with pytest.raises(ValueError, match='no temporal refiner'), record_attention(build_model('DVISOnline')):
        pass


def test_heat_map():
    weights = np.array([[0.5, 0.125, 0.], [0., 0.5, 0.5]])
    picture = heat_map(weights, 2, ['car q1', 'road q2'], (120, 300), maximum=0.5)
    assert picture.shape == (120, 300, 3)
    scale = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_INFERNO)[:, 0, ::-1]
    left, right = 60, 240  # within the cells, whatever the width of the texts
    top, low = picture[20], picture[80]
    assert (top[left:right] == scale[0]).all(-1).any() and (low[left:right] == scale[255]).all(-1).any()
    assert (top == scale[128]).all(-1).any()  # a quarter of the maximum: half as bright
    line = (picture[6:90] == 255).all(-1).all(0).nonzero()[0]
    assert len(line) == 2
    cells = (top == scale[255]).all(-1).sum(), (top == scale[128]).all(-1).sum()
    assert abs(cells[0] - cells[1]) <= 3  # equal widths
    assert (picture[20, line[-1] + 2] == scale[0]).all() and (picture[20, line[0] - 2] == scale[128]).all()
    assert heat_map(np.zeros((0, 4)), 2, [], (120, 300), 1.).shape == (120, 300, 3)


def test_plot(tmp_path):
    plot_share(tmp_path / 'share.png', dict(plain=[0.4, 0.5], oma=[0.1, 0.2]))
    assert cv2.imread(str(tmp_path / 'share.png')).std() > 10
