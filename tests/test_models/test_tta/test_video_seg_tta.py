# Copyright (c) The mmvc contributors. All rights reserved.
import pickle
import weakref

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData

import mmvc.datasets  # noqa: F401  registers
from mmvc.engine.hooks import VoteMarginHook
from mmvc.models.tta import VideoSegTTAModel, majority_vote, make_tta_pipeline, vote_margin
from mmvc.registry import DATASETS, MODELS
from tests.helpers.tiny_models import SEGMENTER, build_model, randomize_constants

SIZE = (45, 61)  # odd: no scale gives a multiple of the stride
PIPELINE = [
    dict(type='SampleAllFrames'),
    dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrameFromFile')]),
    dict(type='PackVideoSegInputs'),
]


@pytest.fixture
def batch(tmp_path):
    """Load a video of three frames as the data loader does with a pipeline."""
    folder = tmp_path / 'data/video/origin'
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for t in range(3):
        coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'{t}.png'), cv2.resize(coarse, SIZE[::-1]))
    (tmp_path / 'val.txt').write_text('video\n')

    def load(pipeline):
        init_default_scope('mmvc')
        dataset = DATASETS.build(dict(
            type='VSPWDataset', data_root=str(tmp_path), ann_file='val.txt', img_suffix='.png', test_mode=True,
            pipeline=pipeline))
        return pseudo_collate([dataset[0]])

    return load


class BrightLeft(BaseModel):
    """Says 1 where the upper left quarter of its input is, 0 elsewhere; mirrored inputs get the other quarter.

    At the smallest input it says 2 everywhere.
    """

    def __init__(self, small: int = 0) -> None:
        super().__init__()
        self.small = small

    def forward(self, inputs, data_samples=None, mode='predict'):
        for video, sample in zip(inputs, data_samples):
            for image, frame in zip(video, sample):
                height, width = frame.ori_shape[:2]
                labels = torch.zeros((1, height, width), dtype=torch.uint8)
                labels[:, :height // 2, :width // 2] = 1
                if image.shape[-2] <= self.small:
                    labels[:] = 2
                frame.pred_sem_seg = PixelData(sem_seg=labels)
        return data_samples


def sem_seg(sample):
    return torch.stack([frame.pred_sem_seg.sem_seg for frame in sample])


def test_augmentations_come_scale_by_scale_plain_and_mirrored(batch):
    data = batch(make_tta_pipeline(PIPELINE))
    frames = [sample[0][2] for sample in data['data_samples']]
    assert [frame.img_shape[:2] for frame in frames[::2]] == [(41, 55), (45, 61), (49, 67), (54, 73)]
    assert [frame.flip for frame in frames] == [False, True] * 4
    videos = [video.load() for [video] in data['inputs']]
    assert [tuple(video.shape[-2:]) for video in videos] == [frame.img_shape[:2] for frame in frames]
    assert {tuple(frame.ori_shape[:2]) for frame in frames} == {SIZE}
    for plain, mirrored in zip(videos[::2], videos[1::2]):
        assert torch.equal(plain, mirrored.flip(-1))
    same_size = batch(PIPELINE)['inputs'][0]
    assert torch.equal(videos[2], same_size)


def all_at_once(pipeline):
    """The same pipeline with mmcv's transform, which makes all augmentations before the model sees one."""
    return [*pipeline[:-1], {**pipeline[-1], 'type': 'TestTimeAug'}]


@pytest.mark.parametrize('resize', [[], [dict(type='mmdet.Resize', scale=(80, 70), keep_ratio=True)]])
def test_frames_on_demand_are_those_of_mmcv(batch, resize):
    test_pipeline = [PIPELINE[0], {**PIPELINE[1], 'transforms': [*PIPELINE[1]['transforms'], *resize]}, PIPELINE[2]]
    pipeline = make_tta_pipeline(test_pipeline)
    ours, theirs = batch(pipeline), batch(all_at_once(pipeline))
    assert len(ours['inputs']) == 8
    for [video], [expected], [sample], [expected_sample] in zip(
            ours['inputs'], theirs['inputs'], ours['data_samples'], theirs['data_samples']):
        assert torch.equal(torch.cat(list(video.split(2))), expected)
        assert [len(window) for window in video.split(2)] == [2, 1]
        for frame, expected_frame in zip(sample, expected_sample):
            assert frame.metainfo == expected_frame.metainfo


def test_a_sample_holds_the_video_once(batch):
    data = batch(make_tta_pipeline(PIPELINE))
    frames = {video.frames.data_ptr(): video.frames for [video] in data['inputs']}
    assert sum(tensor.numel() * tensor.element_size() for tensor in frames.values()) == 3 * 45 * 61 * 3
    # nor is it sent twice by a worker of the data loader
    assert len(pickle.dumps(data)) < len(pickle.dumps(batch(PIPELINE))) + 30000


@pytest.mark.parametrize('voting', ['majority', 'soft'])
def test_on_demand_or_at_once_the_prediction_is_the_same(batch, voting):
    model = randomize_constants(build_model('MinVIS')).eval()
    pipeline = make_tta_pipeline(PIPELINE)
    tta = VideoSegTTAModel(voting=voting, module=model)
    [ours], [theirs] = tta.test_step(batch(pipeline)), tta.test_step(batch(all_at_once(pipeline)))
    assert torch.equal(sem_seg(ours), sem_seg(theirs))


def test_windows_are_made_when_the_model_takes_them(batch, monkeypatch):
    model = randomize_constants(build_model('MinVIS')).eval()
    model.window_size = 2
    data = batch(make_tta_pipeline(PIPELINE, scales=(1.0, )))
    alive, most, prepare = [], [], model.data_preprocessor.prepare_frames

    def count(frames):
        alive.append(weakref.ref(frames))
        most.append(sum(len(window) for window in (ref() for ref in alive) if window is not None))
        return prepare(frames)

    monkeypatch.setattr(model.data_preprocessor, 'prepare_frames', count)
    VideoSegTTAModel(module=model).test_step(data)
    assert len(alive) == 4 and max(most) <= 4 < 2 * 3, 'at most two windows at a time'


def test_soft_voting_shares_one_budget(batch):
    model = randomize_constants(build_model('MinVIS')).eval()
    model.feature_store = dict(memory_limit=8000)
    limits = []
    tta = VideoSegTTAModel(voting='soft', module=model)
    predict_video = model.predict_video

    def watched(*args):
        prediction = predict_video(*args)
        limits.append(prediction.mask_features.memory_limit)
        return prediction

    model.predict_video = watched
    tta.test_step(batch(make_tta_pipeline(PIPELINE)))
    assert limits == [1000] * 8
    assert model.feature_store == dict(memory_limit=8000)


def test_pipeline_multiplies_the_size_of_testing():
    test_pipeline = Config.fromfile('configs/_base_/pipelines/dvispp_720p.py').test_pipeline
    before = test_pipeline.to_dict() if hasattr(test_pipeline, 'to_dict') else str(test_pipeline)
    pipeline = make_tta_pipeline(test_pipeline, flip=False)
    assert pipeline[0]['type'] == 'SampleAllFrames'
    assert [transform['type'] for transform in pipeline[1]['transforms']] == ['LoadFrameFromFile']
    resized, flips, pack = pipeline[2]['transforms']
    assert [broadcast['transforms'][-1]['scale'] for broadcast in resized] == \
        [(1200, 648), (1333, 720), (1466, 792), (1600, 864)]
    assert len(flips) == 1 and flips[0]['transforms'][0]['prob'] == 0
    assert pack == [dict(type='PackVideoSegInputs')]
    after = test_pipeline.to_dict() if hasattr(test_pipeline, 'to_dict') else str(test_pipeline)
    assert after == before


def test_pipeline_errors():
    with pytest.raises(ValueError, match='no TransformBroadcaster'):
        make_tta_pipeline([dict(type='PackVideoSegInputs')])
    with pytest.raises(ValueError, match='above 0'):
        make_tta_pipeline(PIPELINE, scales=(1.0, 0))


def test_votes_are_mirrored_back_and_ties_go_to_the_highest_resolution(batch):
    # plain: upper left is 1; mirrored back: upper right is 1. Two against two everywhere: the plain larger one wins
    data = batch(make_tta_pipeline(PIPELINE, scales=(0.9, 1.2)))
    model = VideoSegTTAModel(module=BrightLeft())
    [sample] = model.test_step(data)
    expected = torch.zeros(3, 1, *SIZE, dtype=torch.uint8)
    expected[..., :22, :30] = 1
    assert torch.equal(sem_seg(sample), expected)
    # the smallest input, twice, outvotes nobody: 2 + 2 against 2 + 2 + 2 + 2
    model = VideoSegTTAModel(module=BrightLeft(small=41))
    [sample] = model.test_step(batch(make_tta_pipeline(PIPELINE, scales=(0.9, 1.1, 1.2))))
    assert torch.equal(sem_seg(sample), expected)
    # here the small one is in the majority where the other one's halves disagree
    [sample] = model.test_step(batch(make_tta_pipeline(PIPELINE, scales=(0.9, 1.2))))
    expected = torch.full((3, 1, *SIZE), 2, dtype=torch.uint8)
    expected[..., :22, :30] = 2
    expected[..., 22:, :] = 0  # tie of two: higher resolution
    expected[..., :22, 30] = 0  # the middle column is 0 in both
    assert torch.equal(sem_seg(sample), expected)


def predict_each(model, data):
    """Predict each augmentation alone, mirrored back."""
    results = []
    for inputs, samples in zip(data['inputs'], data['data_samples']):
        [sample] = model.test_step(dict(inputs=[video.load() for video in inputs], data_samples=samples))
        maps = sem_seg(sample)
        results.append(maps.flip(-1) if sample[0].flip else maps)
    return results


def test_majority_of_a_real_model(batch):
    model = randomize_constants(build_model('MinVIS')).eval()
    for weight in (model.head.cls_embed.weight, list(model.head.mask_embed.parameters())[-2]):
        torch.nn.init.normal_(weight, std=3.0)  # queries of clearly different classes and masks
    pipeline = make_tta_pipeline(PIPELINE)
    single = predict_each(model, batch(pipeline))
    assert len({tuple(maps.flatten().tolist()) for maps in single}) > 1, 'nothing to vote on'
    [sample] = VideoSegTTAModel(module=model).test_step(batch(pipeline))
    merged = sem_seg(sample)
    assert merged.dtype == torch.uint8 and merged.shape == (3, 1, *SIZE)
    assert torch.equal(merged, majority_vote(single, [1, 1, 2, 2, 3, 3, 4, 4]))


def test_margins_are_written(batch, tmp_path):
    pipeline = make_tta_pipeline(PIPELINE, scales=(0.9, 1.1, 1.2))
    [sample] = VideoSegTTAModel(module=BrightLeft(small=41), with_margin=True).test_step(batch(pipeline))
    VoteMarginHook(str(tmp_path / 'margins')).after_test_iter(None, 0, outputs=[sample])
    assert sorted(path.name for path in (tmp_path / 'margins/video').iterdir()) == ['0.png', '1.png', '2.png']
    single = predict_each(BrightLeft(small=41), batch(pipeline))
    margin = cv2.imread(str(tmp_path / 'margins/video/1.png'), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(margin, vote_margin(single, sem_seg(sample))[1, 0].numpy())
    assert len(np.unique(margin)) > 1
    with pytest.raises(ValueError, match="use voting='majority'"):
        VideoSegTTAModel(voting='soft', with_margin=True, module=BrightLeft())


@pytest.mark.parametrize('stage', [pytest.param('MinVIS', marks=pytest.mark.slow), 'DVISOffline'])
def test_soft_voting_of_a_real_model(batch, stage):
    model = randomize_constants(build_model(stage)).eval()
    [plain] = model.test_step(batch(PIPELINE))
    tta = VideoSegTTAModel(voting='soft', module=model)
    # one augmentation, plain: the model's own prediction
    [sample] = tta.test_step(batch(make_tta_pipeline(PIPELINE, scales=(1.0, ), flip=False)))
    assert torch.equal(sem_seg(sample), sem_seg(plain))
    assert 'video_prediction' not in sample
    # all augmentations: the mean of their distributions
    captured = []

    def keep_scores(prediction, data_sample):
        scores = torch.stack([torch.einsum('qk,qhw->khw', prediction.class_probs[:, :-1], masks)
                              for masks in prediction.frames()])
        captured.append(scores.flip(-1) if data_sample[0].flip else scores)

    pipeline = make_tta_pipeline(PIPELINE)
    [sample] = tta.test_step(batch(pipeline))
    model.postprocessor = keep_scores
    data = batch(pipeline)
    for inputs, samples in zip(data['inputs'], data['data_samples']):
        model.test_step(dict(inputs=[video.load() for video in inputs], data_samples=samples))
    mean = sum(scores / scores.sum(dim=1, keepdim=True) for scores in captured) / len(captured)
    best = mean.topk(2, dim=1).values
    clear = best[:, 0] - best[:, 1] > 1e-5
    assert clear.float().mean() > 0.9
    assert torch.equal(sem_seg(sample)[:, 0][clear], mean.argmax(dim=1).to(torch.uint8)[clear])


def test_built_from_a_config(batch):
    init_default_scope('mmvc')
    model = MODELS.build(ConfigDict(type='VideoSegTTAModel', voting='soft', module=SEGMENTER))
    [sample] = model.test_step(batch(make_tta_pipeline(PIPELINE, scales=(1.0, ))))
    assert sem_seg(sample).shape == (3, 1, *SIZE)


def test_wrong_settings(batch):
    with pytest.raises(ValueError, match='expected one of majority, soft'):
        VideoSegTTAModel(voting='hard', module=BrightLeft())
    with pytest.raises(TypeError, match='BrightLeft has none'):
        VideoSegTTAModel(voting='soft', module=BrightLeft())

    class NoPrediction(BaseModel):

        def forward(self, inputs, data_samples=None, mode='predict'):
            return data_samples

    with pytest.raises(TypeError, match='no pred_sem_seg'):
        VideoSegTTAModel(module=NoPrediction()).test_step(batch(make_tta_pipeline(PIPELINE)))
