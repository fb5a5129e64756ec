# Copyright (c) The mmvc contributors. All rights reserved.
"""One scene in the formats of VSPW, VIPSeg and YouTube-VIS gives entities that agree."""
import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mmvc.datasets.synthetic import METAINFO, SyntheticVideoConfig, generate_video, make_synthetic_dataset
from mmvc.registry import DATASETS

SCENE = SyntheticVideoConfig(size=(48, 80), num_frames=9)
CLASSES, SEED = METAINFO['classes'], 3
THINGS = tuple(name for name, isthing in zip(CLASSES, METAINFO['isthing']) if isthing)


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    return make_synthetic_dataset(
        tmp_path_factory.mktemp('scene'), SCENE, formats=['vspw', 'vipseg', 'ytvis'], num_train=2, num_val=1,
        seed=SEED)


def dataset_of(roots, name, mode='train'):
    load = 'LoadFrameInstances' if name == 'ytvis' else 'LoadVideoSegAnnotations'
    transforms = [dict(type='LoadFrameFromFile'), *([dict(type=load)] if mode == 'train' else [])]
    cfg = dict(
        vspw=dict(type='VSPWDataset', ann_file=f'{mode}.txt', metainfo=dict(classes=CLASSES)),
        vipseg=dict(
            type='VIPSegDataset', ann_file=f'panoptic_gt_VIPSeg_{mode}.json', metainfo=dict(classes=CLASSES)),
        ytvis=dict(
            type='YouTubeVISDataset', split='valid' if mode == 'val' else mode, metainfo=dict(classes=THINGS)))[name]
    with DefaultScope.overwrite_default_scope('mmvc'):
        return DATASETS.build(
            dict(
                cfg,
                data_root=str(roots[name]),
                test_mode=mode == 'val',
                pipeline=[
                    dict(type='SampleAllFrames'),
                    dict(type='TransformBroadcaster', transforms=transforms),
                    dict(type='PackVideoSegInputs')
                ]))


def by_id(frame):
    entities = frame.gt_instances
    return {
        int(identity): (int(label), mask.astype(bool))
        for identity, label, mask in zip(entities.instances_ids, entities.labels, entities.masks.masks)
    }


@pytest.mark.parametrize('index', [0, 1])
def test_entities_are_those_of_the_scene(roots, index):
    """Every format against the generator's own labels, frame by frame."""
    clip = generate_video(SCENE, SEED, index, 'train')
    samples = {name: dataset_of(roots, name)[index]['data_samples'] for name in roots}
    identity_of = {}  # (format, id in the format) -> identity in the scene
    seen = set()
    for t, (sem, ids) in enumerate(zip(clip.sem, clip.ids)):
        stuff_and_things = {label: sem == label for label in np.unique(sem[sem != 255]).tolist()}
        vss = by_id(samples['vspw'][t])
        assert vss.keys() == stuff_and_things.keys()
        for label, mask in stuff_and_things.items():
            assert vss[label][0] == label and (vss[label][1] == mask).all()

        for name, offset in (('vipseg', 0), ('ytvis', len(CLASSES) - len(THINGS))):
            entities = by_id(samples[name][t])
            # lines of void between neighbours belong to no segment, but instance masks run on below them
            labelled = sem != 255 if name == 'vipseg' else True
            things = {i: (ids == i) & labelled for i in np.unique(ids[(ids > 0) & labelled]).tolist()}
            found = {key: (label, mask) for key, (label, mask) in entities.items()
                     if CLASSES[label + offset] in THINGS}
            assert len(found) == len(things)
            for key, (label, mask) in found.items():
                identity = next(i for i, truth in things.items() if (truth == mask).all())
                assert identity_of.setdefault((name, key), identity) == identity, 'an id must mean one object'
                assert set(sem[mask].tolist()) - {255} == {label + offset}
                seen.add(identity)
            if name == 'vipseg':
                stuff = {label: mask for label, mask in entities.values() if CLASSES[label] not in THINGS}
                assert stuff.keys() == {label for label in stuff_and_things if CLASSES[label] not in THINGS}
                assert all((mask == stuff_and_things[label]).all() for label, mask in stuff.items())
    assert len(seen) >= 3 and {name for name, _ in identity_of} == {'vipseg', 'ytvis'}


def test_frames_and_images_agree(roots):
    samples = {name: dataset_of(roots, name)[0] for name in roots}
    for sample in samples.values():
        assert (sample['inputs'] == samples['vspw']['inputs']).all()
        assert [frame.frame_id for frame in sample['data_samples']] == list(range(SCENE.num_frames))


@pytest.mark.parametrize('name', ['vspw', 'vipseg', 'ytvis'])
def test_testing_needs_no_annotations(roots, name):
    sample = dataset_of(roots, name, 'val')[0]
    frames = list(sample['data_samples'])
    assert sample['inputs'].shape == (SCENE.num_frames, 3, *SCENE.size)
    assert not any('gt_instances' in frame for frame in frames)
    assert all(('seg_map_path' in frame) == (name != 'ytvis') for frame in frames)
    assert {frame.video_length for frame in frames} == {SCENE.num_frames}


@pytest.mark.parametrize('name', ['vspw', 'vipseg', 'ytvis'])
def test_classes_of_a_video_without_loading_it(roots, name):
    """As mmengine's ClassBalancedDataset asks for them."""
    dataset = dataset_of(roots, name)
    for index in range(len(dataset)):
        frames = dataset[index]['data_samples'].video_data_samples
        seen = {int(label) for frame in frames for label in frame.gt_instances.labels}
        assert dataset.get_cat_ids(index) == sorted(seen) != []
    with DefaultScope.overwrite_default_scope('mmvc'):
        balanced = DATASETS.build(dict(type='ClassBalancedDataset', oversample_thr=1., dataset=dataset))
    assert len(balanced) >= len(dataset)
