# Copyright (c) The mmvc contributors. All rights reserved.
import cv2
import numpy as np
import pytest

from mmvc.analysis.browsing import PatchMasking, TrainingClips, WholeVideo, draw_clip, record_masks
from mmvc.analysis.pictures import PictureWriter, spread
from mmvc.engine.ground_truth import GroundTruth
from mmvc.visualization import PanelDrawer
from tests.helpers.sparse_labels import thin_vipseg, thin_vis, thin_vspw
from tests.helpers.synthetic_sets import META, NUM_FRAMES, SIZE, clip_pipeline, dataset_cfg, make_sets

RANDOM = dict(type='RandomPatchMask', patch_size=16, mask_ratio=0.5, prob=0.)


@pytest.mark.parametrize('task, tracks', [('vss', False), ('vps', True), ('vis', True)])
def test_clips_of_every_task(sets, task, tracks):
    clips = TrainingClips(dataset_cfg(sets, task, 'train', pipeline=clip_pipeline(task, RANDOM)))
    assert len(clips) == 2
    video, frames = clips[0]
    assert len(frames) == 2 and len({frame.name for frame in frames}) == 2
    truth = GroundTruth(dataset_cfg(sets, task, 'train'))
    assert video in truth.videos
    stems = [path.rsplit('/', 1)[1][:-4] for path in truth.frames(video)]
    for frame in frames:
        index = stems.index(frame.name)
        assert (frame.image == truth.image(video, index)).all()  # clean, RGB
        expected = truth.segments(video, index, SIZE)
        assert (frame.segments.class_map(255) == expected.class_map(255)).all()
        assert bool(frame.segments.tracks) == tracks
        assert frame.segments.tracks == {i for i in expected.tracks if i in expected.present()}
        assert frame.patch_size == 16 and 0 < frame.hidden.mean() < 1


def test_masks_are_drawn_whatever_their_probability_and_per_frame_or_tube(sets):
    def hidden(*masks, masking=None):
        cfg = dataset_cfg(sets, 'vss', 'train', pipeline=clip_pipeline('vss', *masks, num_frames=3))
        return [frame.hidden for frame in TrainingClips(cfg, masking)[0][1]]

    own = hidden(dict(RANDOM, patch_size=8))
    assert (own[0] != own[1]).any()
    tube = hidden(dict(RANDOM, type='TubeMask', patch_size=8))
    assert (tube[0] == tube[1]).all() and (tube[0] == tube[2]).all() and tube[0].any()
    assert hidden() == [None] * 3
    other = hidden(RANDOM, masking=PatchMasking(patch_size=4, mask_ratio=0.3, tube=True))
    assert (other[0] == other[2]).all() and abs(other[0].mean() - 0.3) < 0.15
    blocks = other[0].reshape(12, 4, 16, 4)
    assert (blocks == blocks[:, :1, :, :1]).all()


def test_wrapped_datasets_and_the_mask_of_the_picture(sets):
    joint = dict(type='JointDataset', ratio=(1, ), datasets=[dataset_cfg(sets, 'vis', 'train')],
                 pipeline=clip_pipeline('vis', RANDOM))
    frame = TrainingClips(joint)[0][1][0]
    inside = dict(dataset_cfg(sets, 'vis', 'train'), pipeline=clip_pipeline('vis', RANDOM))
    for wrapper in (dict(type='ConcatDataset', datasets=[inside, inside]),
                    dict(type='ConcatDataset', datasets=[dict(type='RepeatDataset', times=1, dataset=inside)])):
        clips = TrainingClips(wrapper)
        assert all(frame.hidden.any() for frame in clips[len(clips) - 1][1])
    columns = frame.columns(PanelDrawer(META['classes'], META['palette']))
    title, = set(columns) - {'image', 'ground truth'}
    assert title == f'masked: {frame.hidden.mean():.0%} of the pixels, patches of 16'
    assert (columns[title][~frame.hidden] == frame.image[~frame.hidden]).all()
    assert (columns[title][frame.hidden] == [124, 116, 104]).all()
    columns = frame.columns(PanelDrawer(META['classes'], META['palette'], hidden_color=(9.4, 0, -3)))
    assert (columns[title][frame.hidden] == [9, 0, 0]).all()


def test_pipelines_of_mmseg_tell_their_masks(sets):
    pytest.importorskip('mmseg.datasets')
    pipeline = [dict(type='LoadImageFromFile'), dict(type='mmseg.LoadAnnotations'), dict(RANDOM, prob=1.),
                dict(type='mmseg.PackSegInputs')]
    assert record_masks(pipeline)[-1]['meta_keys'][-2:] == ('patch_mask', 'patch_size')
    assert 'meta_keys' not in pipeline[-1] and pipeline[2]['prob'] == 1.  # a copy was changed
    cfg = dict(dataset_cfg(sets, 'vss', 'train'), type='mmvc.VSPWImageDataset', pipeline=pipeline)
    frames = [frame for index in range(3) for frame in TrainingClips(cfg)[index][1]]
    assert all(frame.segments.present() and frame.hidden.any() for frame in frames)


def test_whole_videos(sets):
    truth = GroundTruth(dataset_cfg(sets, 'vss'))
    assert [frame.hidden for frame in WholeVideo(truth, truth.videos[0])] == [None] * NUM_FRAMES
    masked = list(WholeVideo(truth, truth.videos[0], 2, PatchMasking(8, 0.5, tube=True)))
    assert len(masked) == 2 and (masked[0].hidden == masked[1].hidden).all() and masked[0].hidden.any()


@pytest.mark.parametrize('form, pattern, shape', [
    ('sheet', 'a_b.png', (3 * (24 + 240), 960)), ('frames', 'a_b/*.png', (24 + 240, 960)),
    ('video', 'a_b.mp4', (24 + 240, 960))])
def test_forms(sets, tmp_path, form, pattern, shape):
    truth = GroundTruth(dataset_cfg(sets, 'vss'))
    drawer = PanelDrawer(META['classes'], META['palette'])
    frames = WholeVideo(truth, truth.videos[0], masking=PatchMasking(8, 0.5))
    written = draw_clip(frames, drawer, str(tmp_path), 'a/b', form)
    assert written.exists()
    files = sorted(tmp_path.glob(pattern))
    assert len(files) == (NUM_FRAMES if form == 'frames' else 1)
    picture = cv2.VideoCapture(str(files[0])).read()[1] if form == 'video' else cv2.imread(str(files[0]))
    legend = drawer.legend(*(frame.segments for frame in frames)).draw(960)
    assert picture.shape[:2] == (shape[0] + len(legend), shape[1])
    if form != 'video':
        assert (picture[-len(legend):, :, ::-1] == legend).all()


def test_an_error_leaves_no_sheet(tmp_path):
    drawer = PanelDrawer(('a', ), ((1, 2, 3), ))
    with pytest.raises(KeyError), PictureWriter(tmp_path, 'a', drawer) as writer:
        writer.add('0', dict(input=np.zeros((20, 30, 3), np.uint8)))
        raise KeyError
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match='sheet, frames, video'):
        PictureWriter(tmp_path, 'a', drawer, form='gif')


def test_spread():
    assert spread(10, 3) == [0, 3, 6] and spread(2, 5) == [0, 1] and spread(3, None) == [0, 1, 2]


@pytest.mark.parametrize('task, thin', [('vss', thin_vspw), ('vps', thin_vipseg), ('vis', thin_vis)])
def test_frames_without_labels_are_shown_as_such(tmp_path, task, thin):
    root = make_sets(tmp_path)
    folder = root / dict(vss='vspw', vps='vipseg', vis='ytvis')[task]
    thin(folder, {1})
    cfg = dataset_cfg(root, task, 'train', pipeline=clip_pipeline(task, RANDOM, num_frames=3), sparse_labels=True)
    truth = GroundTruth(cfg)
    drawer = PanelDrawer(**{key: truth.dataset.metainfo[key] for key in ('classes', 'palette')})
    for frames in (TrainingClips(cfg)[0][1], list(WholeVideo(truth, truth.videos[0]))):
        titles = [list(frame.columns(drawer)) for frame in frames]
        assert [columns[1] for columns in titles] == ['ground truth: not labelled', 'ground truth',
                                                      'ground truth: not labelled']
        assert (frames[0].columns(drawer)['ground truth: not labelled'] == 127).all()
        draw_clip(frames, drawer, str(tmp_path / 'out'), 'clip')
