# Copyright (c) The mmvc contributors. All rights reserved.
"""Videos of which only some frames are labelled, in every layout: what is refused, loaded, drawn and packed."""

import json
import re

import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mmvc.datasets.transforms import SampleClip
from mmvc.registry import DATASETS, TRANSFORMS
from mmvc.utils.errors import DataError
from tests.helpers.sparse_labels import thin_vipseg, thin_vis, thin_vspw
from tests.helpers.synthetic_sets import clip_pipeline, dataset_cfg, make_sets
from tests.helpers.tiny_datasets import CLASSES, LENGTH, VIDEOS, WRITERS, build

THIN = dict(vspw=thin_vspw, vipseg=thin_vipseg, vis=thin_vis)
LABELLED = 1  # of the two frames of a video


@pytest.fixture(params=THIN)
def kind(request):
    return request.param


@pytest.fixture
def root(tmp_path, kind):
    WRITERS[kind](tmp_path)
    return tmp_path


def test_without_the_option_the_error_names_it(kind, root):
    THIN[kind](root, {LABELLED})
    with pytest.raises((DataError, FileNotFoundError), match='sparse_labels=True'):
        build(kind, root)


def test_labelled_frames_are_loaded_as_always_and_the_others_are_marked(kind, root):
    whole = build(kind, root)
    expected = [whole[index] for index in range(len(whole))]
    THIN[kind](root, {LABELLED})
    dataset = build(kind, root, sparse_labels=True)
    assert len(dataset) == len(VIDEOS)
    for sample, full in zip((dataset[index] for index in range(len(dataset))), expected):
        assert sample['inputs'].equal(full['inputs'])
        for t, (frame, other) in enumerate(zip(sample['data_samples'], full['data_samples'])):
            entities = frame.gt_instances
            assert frame.metainfo.get('labelled', True) == (t == LABELLED)
            if t == LABELLED:
                assert 'labelled' not in frame
                assert entities.labels.equal(other.gt_instances.labels)
                assert entities.instances_ids.equal(other.gt_instances.instances_ids)
                assert np.array_equal(entities.masks.masks, other.gt_instances.masks.masks)
            else:
                assert len(entities) == 0 and entities.masks.masks.shape == (0, *frame.img_shape)
                assert entities.labels.dtype == other.gt_instances.labels.dtype


def test_with_all_labels_the_option_changes_nothing(kind, root):
    plain, sparse = build(kind, root), build(kind, root, sparse_labels=True)
    for index in range(len(plain)):
        assert sparse.get_data_info(index)['images'] == plain.get_data_info(index)['images']


def test_a_video_without_labels_cannot_be_trained_on(kind, root):
    THIN[kind](root, ())
    with pytest.raises(DataError, match='video "left" .*label one, or remove|lists no frame'):
        build(kind, root, sparse_labels=True)


def test_in_tests_frames_are_marked_too(kind, root):
    THIN[kind](root, {LABELLED})
    marks = [[image.get('labelled', True) for image in build(kind, root, sparse_labels=True, test_mode=True)
              .get_data_info(index)['images']] for index in range(len(VIDEOS))]
    assert marks == [[t == LABELLED for t in range(LENGTH)]] * len(VIDEOS)
    unmarked = build(kind, root, test_mode=True).get_data_info(0)['images']
    assert all('labelled' not in image for image in unmarked), 'prediction needs no labels and no option'


def test_classes_of_a_video_are_those_of_its_labelled_frames(kind, root):
    THIN[kind](root, {LABELLED})
    assert build(kind, root, sparse_labels=True).get_cat_ids(0) == [0, 1]


class TestVIPSeg:

    @pytest.fixture
    def root(self, tmp_path):
        WRITERS['vipseg'](tmp_path)
        return tmp_path

    def test_an_empty_annotation_without_png_is_no_label(self, root):
        content = json.loads((root / 'train.json').read_text())
        content['annotations'][0]['annotations'][0]['segments_info'] = []
        (root / 'train.json').write_text(json.dumps(content))
        (root / 'panomasksRGB/left/0.png').unlink()
        images = build('vipseg', root, sparse_labels=True).get_data_info(0)['images']
        assert [image.get('labelled', True) for image in images] == [False, True]

    def test_annotated_segments_without_png_are_damage(self, root):
        (root / 'panomasksRGB/left/0.png').unlink()
        dataset = build('vipseg', root, sparse_labels=True)
        with pytest.raises(DataError, match=re.escape('left/0.png')):
            dataset[0]

    def test_a_png_without_annotation_is_damage(self, root):
        content = json.loads((root / 'train.json').read_text())
        del content['annotations'][0]['annotations'][0]
        (root / 'train.json').write_text(json.dumps(content))
        with pytest.raises(DataError, match='left/0.png" is the mask of a frame.*does not annotate'):
            build('vipseg', root, sparse_labels=True)


def test_images_of_mmseg_are_the_labelled_frames(tmp_path):
    from mmvc.datasets.vspw_image import VSPWImageDataset
    WRITERS['vspw'](tmp_path)
    thin_vspw(tmp_path, {LABELLED})
    options = dict(ann_file='train.txt', data_root=str(tmp_path), metainfo=dict(classes=CLASSES), pipeline=[])
    with pytest.raises(FileNotFoundError, match='sparse_labels=True'):
        VSPWImageDataset(**options)
    with DefaultScope.overwrite_default_scope('mmvc'):
        trained = VSPWImageDataset(**options, sparse_labels=True)
        tested = VSPWImageDataset(**options, sparse_labels=True, test_mode=True)
    assert [trained.get_data_info(i)['frame_id'] for i in range(len(trained))] == [LABELLED] * len(VIDEOS)
    assert [tested.get_data_info(i).get('labelled', True) for i in range(len(tested))] == [False, True] * len(VIDEOS)


# --- clips ---


def video_of(length, labelled):
    return dict(video_id='street', images=[dict(frame_id=t, **({} if t in labelled else dict(labelled=False)))
                                           for t in range(length)])


def frames_of(transform, video, seed):
    np.random.seed(seed)
    return transform(video)['frame_id']


@pytest.mark.parametrize('options', [dict(num_frames=3, frame_range=2), dict(num_frames=1, frame_range=0),
                                     dict(num_frames=15, frame_range=5, replace=True),
                                     dict(num_frames=6, frame_range=10, reverse_prob=0.5)])
class TestClips:

    def test_each_has_a_labelled_frame(self, options):
        sample, labelled = SampleClip(**options), {4, 19}
        clips = [frames_of(sample, video_of(30, labelled), seed) for seed in range(200)]
        assert all(labelled.intersection(clip) for clip in clips)
        assert all(any(label in clip for clip in clips) for label in labelled)
        if options['num_frames'] > 1:
            assert {t for clip in clips for t in clip} > labelled, 'the others are context'

    def test_a_seed_decides(self, options):
        sample, video = SampleClip(**options), video_of(30, {4, 19, 20})
        assert frames_of(sample, video, 7) == frames_of(sample, video, 7)
        assert len({tuple(frames_of(sample, video, seed)) for seed in range(20)}) > 1

    def test_with_all_labels_clips_and_random_numbers_are_as_before(self, options):
        sample = SampleClip(**options)
        for seed in range(20):
            clip = frames_of(sample, video_of(12, range(12)), seed)
            after = np.random.rand()
            np.random.seed(seed)
            expected = _clip_before_sparse_labels(sample, 12)
            if sample.reverse_prob and np.random.rand() < sample.reverse_prob:
                expected.reverse()
            assert clip == expected and after == np.random.rand()

    def test_no_label_at_all(self, options):
        with pytest.raises(DataError, match='video "street" is labelled'):
            SampleClip(**options)(video_of(30, ()))


def _clip_before_sparse_labels(sample, length):
    """The draw of a clip whose frames all are labelled, written down once more."""
    if length < sample.num_frames and not sample.replace:
        return sorted([*range(length), *np.random.choice(length, sample.num_frames - length).tolist()])
    key = np.random.randint(length)
    low, high = key - sample.frame_range, key + sample.frame_range + 1
    if not sample.replace:
        low, high = min(low, length - sample.num_frames), max(high, sample.num_frames)
    window = [t for t in range(max(low, 0), min(high, length)) if t != key]
    if sample.num_frames == 1:
        return [key]
    return sorted([key, *np.random.choice(window, sample.num_frames - 1, replace=sample.replace).tolist()])


def test_a_short_video_is_taken_whole():
    assert set(frames_of(SampleClip(num_frames=5, frame_range=4), video_of(3, {1}), 0)) == {0, 1, 2}


# --- pipelines ---


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
    root = make_sets(tmp_path_factory.mktemp('sets'))
    thin_vspw(root / 'vspw', {1})
    thin_vipseg(root / 'vipseg', {1})
    thin_vis(root / 'ytvis', {1}, ('train', 'valid'))
    return root


@pytest.mark.parametrize('task', ['vss', 'vps', 'vis'])
@pytest.mark.parametrize('masking', ['RandomPatchMask', 'TubeMask'])
def test_clips_are_augmented_and_masked_as_one(sets, task, masking):
    """Resize, flip and masks treat frames with and without labels alike."""
    pipeline = clip_pipeline(task, dict(type=masking, patch_size=8, prob=1.0), num_frames=3)
    pipeline[1]['transforms'] += [dict(type='mmdet.Resize', scale=(80, 60), keep_ratio=False),
                                  dict(type='mmdet.RandomFlip', prob=1.0)]
    with DefaultScope.overwrite_default_scope('mmvc'):
        dataset = DATASETS.build(dataset_cfg(sets, task, 'train', pipeline=pipeline, sparse_labels=True))
        sample = dataset[0]
    frames = list(sample['data_samples'])
    assert sample['inputs'].shape == (3, 3, 60, 80)
    assert [frame.get('labelled', True) for frame in frames] == [False, True, False]
    assert [len(frame.gt_instances) > 0 for frame in frames] == [False, True, False]
    for frame in frames:
        assert frame.flip and frame.masked and frame.patch_mask.any()
        assert frame.gt_instances.masks.masks.shape[1:] == (60, 80)


def test_augmentation_on_demand_keeps_the_marks(sets):
    """Metainfo is computed for one frame of a size, which must not decide whether the others are labelled."""
    flips = [dict(type='TransformBroadcaster', transforms=[dict(type='mmdet.RandomFlip', prob=p)]) for p in (0.0, 1.0)]
    tta = dict(type='AugmentOnDemand', transforms=[flips, [dict(type='PackVideoSegInputs')]])
    pipeline = [dict(type='SampleAllFrames'),
                dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrameFromFile')]), tta]
    with DefaultScope.overwrite_default_scope('mmvc'):
        dataset = DATASETS.build(dataset_cfg(sets, 'vss', pipeline=pipeline, test_mode=True, sparse_labels=True))
        sample = dataset[0]
    for track in sample['data_samples']:
        assert [frame.get('labelled', True) for frame in track] == [False, True, False]
        assert [frame.get('seg_map_path') is not None for frame in track] == [False, True, False]


def test_loading_marks_nothing_by_itself():
    """A frame without a mask is still an error unless the dataset says that it is not labelled."""
    load = TRANSFORMS.build(dict(type='mmvc.LoadVideoSegAnnotations'))
    frame = dict(img=np.zeros((4, 6, 3), np.uint8), img_path='0.jpg', label_lut=np.zeros(256, np.int16))
    with pytest.raises(FileNotFoundError, match='has no mask'):
        load(dict(frame))
    assert (load(dict(frame, labelled=False))['gt_seg_map'] == 255).all()
    del frame['label_lut']
    assert (load(dict(frame, labelled=False))['gt_seg_map'] == 0).all()
