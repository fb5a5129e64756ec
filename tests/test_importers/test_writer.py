# Copyright (c) The mmvc contributors. All rights reserved.
import json
import os

import cv2
import numpy as np
import pytest

from mmvc.importers import writer as writer_module
from mmvc.importers.source import VOID_CATEGORY, Category, Region, SourceFrame, SourceVideo
from mmvc.importers.writer import choose_split, import_videos
from mmvc.utils.errors import DataError, UsageError
from tests.helpers.drawn_videos import SIZE, DrawnSource, box, make_source, two_cars, write_frames, write_video


@pytest.fixture
def source(tmp_path):
    return make_source(tmp_path / 'frames')


def classes_of(index, background=255):
    """Class indices that the regions of a frame have with all classes."""
    labels = np.full(SIZE, background, np.uint8)
    for region in two_cars(index):
        labels[region.mask] = region.category
    return labels


def test_semantic_masks_are_those_of_the_source(source, tmp_path, load, problems):
    summary = import_videos(source, tmp_path / 'out', 'semantic', val=['south'])
    assert not problems(summary.config)
    train, val = load(summary.config), load(summary.config, 'val')
    assert list(train.videos) == ['north'] and list(val.videos) == ['south']
    assert train.dataset.metainfo['classes'] == ('road', 'car', 'bird') == summary.classes
    assert train.dataset.metainfo['palette'][0] == (10, 20, 30)
    assert train.cfg.model.num_classes == 3 and train.cfg.work_dir == 'work_dirs/out'
    for index in range(5):
        results = train.frame('north', index)
        assert (results['gt_seg_map'] == classes_of(index)).all()
        assert (results['img'] == cv2.imread(str(tmp_path / f'frames/north/{index:03d}.jpg'))).all()


def test_instance_tracks_are_those_of_the_source(source, tmp_path, load, problems, tracks):
    summary = import_videos(source, tmp_path / 'out', 'instances', val=['south'])
    assert not problems(summary.config)
    assert summary.classes == ('car', 'bird')  # stuff has no tracks
    found = tracks(tmp_path / 'out/train.json')
    assert list(found) == ['north'] and [name for name, _ in found['north']] == ['car', 'car']
    expected = np.zeros((2, 5, *SIZE), bool)
    for index in range(5):
        for region in two_cars(index)[1:]:
            expected[int(region.track == 7), index] = region.mask
    assert (np.stack([masks for _, masks in found['north']]) == expected).all()
    loaded = load(summary.config).frame('1', 2)
    assert (loaded['gt_masks'].masks.astype(bool) == expected[:, 2]).all()
    assert loaded['gt_instances_ids'].tolist() == [1, 2] and loaded['gt_bboxes_labels'].tolist() == [0, 0]
    content = json.loads((tmp_path / 'out/train.json').read_text())
    assert 'labelled_frames' not in content['videos'][0] and 'occlusion' not in content['annotations'][0]


def test_panoptic_segments_are_those_of_the_source(source, tmp_path, load, problems):
    summary = import_videos(source, tmp_path / 'out', 'panoptic', val=['south'])
    assert not problems(summary.config)
    loaded = load(summary.config)
    assert loaded.dataset.metainfo['thing_classes'] == ('car', 'bird')
    assert loaded.cfg.model.postprocessor.thing_classes == [1, 2]
    id_of = {}
    for index in range(5):
        results = loaded.frame('north', index)
        class_of = {info['id']: info['category_id'] for info in results['segments_info']}
        class_of[0] = 255
        ids = results['gt_seg_map']
        assert (np.vectorize(class_of.get)(ids) == classes_of(index)).all()
        visible = np.zeros(SIZE, int)
        for number, region in enumerate(two_cars(index), 1):
            visible[region.mask] = number
        for number, region in enumerate(two_cars(index), 1):
            [segment] = np.unique(ids[visible == number])
            assert id_of.setdefault(region.track, segment) == segment  # the same in all frames
    assert len(set(id_of.values())) == 3


@pytest.mark.parametrize('layout', ['instances', 'panoptic'])
def test_objects_without_tracks_are_refused(source, tmp_path, layout):
    source.has_tracks = False
    with pytest.raises(UsageError, match=f'the layout {layout} needs track ids.*--layout'):
        import_videos(source, tmp_path / 'out', layout)
    assert not (tmp_path / 'out').exists()


def test_stuff_needs_no_tracks(source, tmp_path, load):
    source.has_tracks = False
    summary = import_videos(source, tmp_path / 'out', 'panoptic', stuff=['car', 'bird'])
    loaded = load(summary.config)
    assert loaded.dataset.metainfo['thing_classes'] == ()
    assert len(loaded.frame(next(iter(loaded.videos)), 2)['segments_info']) == 2  # one segment for both cars


def test_an_object_needs_a_track(source, tmp_path):
    source.labels['north'][3][1] = Region(1, box(0, 0, 4, 4))
    with pytest.raises(DataError, match='video "north", frame "003": an object of the class "car" has no track id'):
        import_videos(source, tmp_path / 'out', 'instances')


def test_an_object_has_one_class(source, tmp_path):
    source.labels['north'][3][1] = Region(2, box(0, 0, 4, 4), track='first')
    with pytest.raises(DataError, match='frame "003": track \'first\' is "bird", and "car" in a frame before'):
        import_videos(source, tmp_path / 'out', 'panoptic')
    import_videos(source, tmp_path / 'out', 'panoptic', classes=['road', 'car=thing', 'bird=thing'], overwrite=True)


def test_crowds(source, tmp_path, load):
    source.labels['north'][3].append(Region(2, box(0, 0, 4, 4), is_crowd=True))
    summary = import_videos(source, tmp_path / 'vis', 'instances', val=['south'])
    content = json.loads((tmp_path / 'vis/train.json').read_text())
    assert [(track['category_id'], track['iscrowd']) for track in content['annotations']] == [(1, 0), (1, 0), (2, 1)]
    summary = import_videos(source, tmp_path / 'vps', 'panoptic', val=['south'])
    segments = load(summary.config).frame('north', 3)['segments_info']
    assert [(each['category_id'], each['iscrowd']) for each in segments if each['iscrowd']] == [(2, True)]


@pytest.mark.parametrize('layout', ['semantic', 'instances', 'panoptic'])
def test_frames_without_labels_stay_as_context(tmp_path, layout, load, problems):
    source = make_source(tmp_path / 'frames', unlabelled=(1, 2, 4))
    summary = import_videos(source, tmp_path / 'out', layout, val=['south'])
    out = tmp_path / 'out'
    assert summary.total('frames') == 10 and summary.total('labelled') == 4
    assert 'sparse_labels=True' in summary.config.read_text() and not problems(summary.config)
    [loaded] = load(summary.config).videos.values()
    assert [frame.get('labelled', True) for frame in loaded['images']] == [True, False, False, True, False]
    frames = dict(semantic='frames/north', instances='train/JPEGImages/north', panoptic='images/north')[layout]
    assert len(list((out / frames).iterdir())) == 5
    if layout == 'instances':
        [video] = json.loads((out / 'train.json').read_text())['videos']
        assert video['labelled_frames'] == [0, 3] and len(video['file_names']) == 5
    else:
        masks = dict(semantic='labels/north', panoptic='panomasksRGB/north')[layout]
        assert sorted(path.name for path in (out / masks).iterdir()) == ['000.png', '003.png']
    if layout == 'panoptic':
        content = json.loads((out / 'panoptic_gt_VIPSeg_train.json').read_text())
        assert len(content['videos'][0]['images']) == 5 and len(content['annotations'][0]['annotations']) == 2


def test_frames_without_regions_may_be_labelled(tmp_path, problems):
    source = make_source(tmp_path / 'frames', unlabelled=(1, 2, 4))
    summary = import_videos(source, tmp_path / 'out', 'semantic', all_labelled=True, background='ground')
    assert summary.total('labelled') == 10 and not problems(summary.config)
    assert 'sparse_labels' not in summary.config.read_text()
    labels = cv2.imread(str(tmp_path / 'out/labels/north/001.png'), cv2.IMREAD_UNCHANGED)
    assert (labels == 3).all() and summary.classes[3] == 'ground'


def test_videos_without_labels_are_left_out(source, tmp_path):
    paths = write_frames(tmp_path / 'frames/west', ['0'])
    source.found.append(SourceVideo('west', SIZE, [SourceFrame('0', paths[0], 0, False)]))
    source.labels['west'] = [None]
    summary = import_videos(source, tmp_path / 'out')
    assert list(summary.records) == ['north', 'south'] and summary.unlabelled == ['west']
    assert '1 videos without labels were left out: west' in summary.to_text()


def test_classes_are_chosen_renamed_and_merged(source, tmp_path, load):
    summary = import_videos(source, tmp_path / 'out', classes=['bird=moving', 'car=moving'], background='rest',
                            val=['south'])
    assert summary.classes == ('moving', 'rest')
    labels = load(summary.config).frame('north', 2)['gt_seg_map']
    expected = classes_of(2)
    assert (labels[expected == 1] == 0).all()  # cars
    assert (labels[expected == 0] == 255).all()  # the road is neither chosen nor background
    assert (labels[expected == 255] == 1).all()


def test_unlabelled_pixels(source, tmp_path, load):
    source.labels['north'][2].append(Region(VOID_CATEGORY, box(11, 3, 2, 3)))
    summary = import_videos(source, tmp_path / 'out', val=['south'], void=['bird'])
    labels = load(summary.config).frame('north', 2)['gt_seg_map']
    expected = classes_of(2)
    expected[box(11, 3, 2, 3)] = 255
    assert (labels == expected).all()
    assert summary.classes == ('road', 'car') and 'of the pixels of labelled frames have no class' in summary.to_text()


@pytest.mark.parametrize('options, names, value', [
    (dict(), ('road', 'car', 'bird', 'background'), 3),
    (dict(void=['background']), ('road', 'car', 'bird'), 255),
    (dict(background='sky'), ('road', 'car', 'bird', 'sky'), 3),
    (dict(background='road'), ('road', 'car', 'bird'), 0),
    (dict(classes=['car', 'background=road', 'road']), ('car', 'road'), 1),
])
def test_background_of_formats_that_label_it(source, tmp_path, load, options, names, value):
    source.covers_frames = True
    summary = import_videos(source, tmp_path / 'out', val=['south'], **options)
    assert summary.classes == names
    assert load(summary.config).frame('north', 2)['gt_seg_map'][0, 0] == value


@pytest.mark.parametrize('options, message', [
    (dict(classes=['truck']), 'name "truck", which the annotations do not have: they have bird, car, road'),
    (dict(classes=['car', 'car=vehicle']), 'the category "car" is named twice'),
    (dict(classes=['car', 'road='], void=['bird']), 'names no class'),
    (dict(void=['truck']), 'name "truck"'),
    (dict(void=['road', 'car', 'bird']), 'no class is left'),
    (dict(stuff=['truck']), 'name "truck"'),
    (dict(classes=['road=x', 'car=x']), 'merged from things and stuff'),
    (dict(val=['west']), 'no labelled video "west"'),
    (dict(val=['north', 'south']), 'leave at least one for training'),
    (dict(val_share=2), 'val_share'),
    (dict(layout='nothing'), 'the layout must be one of'),
])
def test_wrong_options(source, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        import_videos(source, tmp_path / 'out', **options)


@pytest.mark.parametrize('name, message', [
    ('north ', 'ends with a space or a mark'), ('\ufeffnorth', 'begins or ends with a space or a mark'),
    ('../up', 'leads out of its folder'), ('/abs', 'absolute'), ('a\nb', 'control characters'), ('.', 'names no file'),
    ('a//b', 'no folder'), ('north', 'two videos'), ('north/left', 'would hold that of video "north/left"'),
])
def test_names_of_videos_stay_in_the_folder(source, tmp_path, name, message):
    source.found.append(SourceVideo(name, SIZE, source.found[0].frames))
    with pytest.raises(DataError, match=message):
        import_videos(source, tmp_path / 'out')


@pytest.mark.parametrize('name', ['', 'a\nb', 'x' * 201, 'road'])
def test_names_of_categories(source, tmp_path, name):
    source.categories.append(Category(name))
    with pytest.raises(DataError, match='categor'):
        import_videos(source, tmp_path / 'out')


def test_sizes_are_bounded(source, tmp_path):
    source.found[0] = SourceVideo('north', (1 << 20, 1 << 20), source.found[0].frames)
    with pytest.raises(DataError, match='video "north" has the size .* megapixels are more than the limit'):
        import_videos(source, tmp_path / 'out')


def test_names_cannot_change_the_config(source, tmp_path, load):
    names = ["{{ fileDirname }}", "'); import os #", '{{ _base_.model }}', '\\{{$HOME:x}}']
    source.categories = [Category(name, is_thing=False) for name in names]
    summary = import_videos(source, tmp_path / 'out')
    assert load(summary.config).dataset.metainfo['classes'] == tuple(names)


def test_a_video_named_as_a_record(source, tmp_path):
    source.found[1] = SourceVideo('north.json/b', SIZE, source.found[1].frames)
    source.labels['north.json/b'] = source.labels['south']
    summary = import_videos(source, tmp_path / 'out')
    assert list(summary.records) == ['north', 'north.json/b']


@pytest.mark.parametrize('folder', ["it's", 'a"b', '{{x}}', 'a b'])
def test_names_of_the_folder_cannot_change_the_config(source, tmp_path, load, folder):
    summary = import_videos(source, tmp_path / folder / 'out')
    assert load(summary.config).cfg.data_root == str(tmp_path / folder / 'out')


def test_frames_are_numbered_where_their_names_do_not_sort(tmp_path):
    paths = write_frames(tmp_path / 'frames', ['b', 'a'])
    video = SourceVideo('v', SIZE, [SourceFrame(path.stem, path, index, True) for index, path in enumerate(paths)])
    import_videos(DrawnSource([video], {'v': [two_cars(0), two_cars(1)]}), tmp_path / 'out')
    assert (tmp_path / 'out/frames/v/000000.jpg').read_bytes() == paths[0].read_bytes()
    labels = cv2.imread(str(tmp_path / 'out/labels/v/000001.png'), cv2.IMREAD_UNCHANGED)
    assert (labels == classes_of(1)).all()


@pytest.mark.parametrize('link', ['copy', 'hardlink', 'symlink'])
def test_links(source, tmp_path, link, problems):
    summary = import_videos(source, tmp_path / 'out', link=link)
    frame, image = tmp_path / 'out/frames/north/002.jpg', tmp_path / 'frames/north/002.jpg'
    assert frame.is_symlink() == (link == 'symlink') and os.path.samefile(frame, image) == (link != 'copy')
    assert frame.read_bytes() == image.read_bytes() and not problems(summary.config)


def test_images_of_several_formats_become_one(tmp_path, problems):
    paths = [*write_frames(tmp_path / 'frames', ['0'], '.jpg'), *write_frames(tmp_path / 'frames', ['1'], '.bmp')]
    video = SourceVideo('v', SIZE, [SourceFrame(path.stem, path, index, True) for index, path in enumerate(paths)])
    summary = import_videos(DrawnSource([video], {'v': [two_cars(0), two_cars(1)]}), tmp_path / 'out')
    assert sorted(path.name for path in (tmp_path / 'out/frames/v').iterdir()) == ['0.png', '1.png']
    assert (cv2.imread(str(tmp_path / 'out/frames/v/0.png')) == cv2.imread(str(paths[0]))).all()
    assert not problems(summary.config)


def test_frames_of_a_video_file(tmp_path, problems):
    write_video(tmp_path / 'clip.mp4', 6)
    frames = [SourceFrame(f'{index:08d}', None, index, True) for index in (0, 2, 4)]
    source = DrawnSource([SourceVideo('clip', SIZE, frames, tmp_path / 'clip.mp4')],
                         {'clip': [two_cars(index) for index in (0, 2, 4)]})
    summary = import_videos(source, tmp_path / 'out', image_format='png')
    capture = cv2.VideoCapture(str(tmp_path / 'clip.mp4'))
    images = [capture.read()[1] for _ in range(6)]
    for index in (0, 2, 4):
        assert (cv2.imread(str(tmp_path / f'out/frames/clip/{index:08d}.png')) == images[index]).all()
    assert not problems(summary.config)
    source.found[0].frames.append(SourceFrame('00000009', None, 9, False))
    with pytest.raises(DataError, match='has only 3 of the 4 frames'):
        import_videos(source, tmp_path / 'other')


def damage_frame(source, tmp_path):
    (tmp_path / 'frames/south/001.jpg').write_bytes(b'\xff\xd8 no image')


def other_size(source, tmp_path):
    write_frames(tmp_path / 'frames/south', ['001'], size=(8, 8))


def remove_frame(source, tmp_path):
    (tmp_path / 'frames/south/001.jpg').unlink()


def other_mask(source, tmp_path):
    source.labels['south'][1] = [Region(0, np.ones((8, 8), bool))]


@pytest.mark.parametrize('damage, message', [
    (damage_frame, 'cut off'), (other_size, 'has the size'), (remove_frame, 'does not exist'),
    (other_mask, 'a mask has the size')])
def test_a_broken_video_does_not_stop_the_others(source, tmp_path, damage, message):
    damage(source, tmp_path)
    with pytest.raises(DataError, match=f'1 of 2 videos could not be imported: south: .*{message}'):
        import_videos(source, tmp_path / 'out')
    assert (tmp_path / 'out/labels/north/004.png').is_file() and not (tmp_path / 'out/frames/south').exists()
    assert not (tmp_path / 'out/config.py').exists() and not (tmp_path / 'out/train.txt').exists()


def test_an_interrupted_import_goes_on(source, tmp_path, monkeypatch):
    real, written = writer_module.write_frames, []

    def interrupted(video, *args):
        written.append(video.name)
        if len(written) == 2:
            raise KeyboardInterrupt
        yield from real(video, *args)

    monkeypatch.setattr(writer_module, 'write_frames', interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_videos(source, tmp_path / 'out')
    assert not (tmp_path / 'out/config.py').exists()
    import_videos(source, tmp_path / 'out')
    assert written == ['north', 'south', 'south'] and (tmp_path / 'out/config.py').is_file()
    import_videos(source, tmp_path / 'out')
    assert len(written) == 3
    (tmp_path / 'out/labels/north/002.png').unlink()
    import_videos(source, tmp_path / 'out')
    assert written[3:] == ['north']
    import_videos(source, tmp_path / 'out', overwrite=True)
    assert written[4:] == ['north', 'south']


def test_other_options_need_overwrite(source, tmp_path):
    file = tmp_path / 'labels.json'
    file.write_text('1')
    import_videos(source, tmp_path / 'out', inputs=[file])
    with pytest.raises(UsageError, match='--overwrite'):
        import_videos(source, tmp_path / 'out', inputs=[file], background='rest')
    file.write_text('12')
    with pytest.raises(UsageError, match='--overwrite'):
        import_videos(source, tmp_path / 'out', inputs=[file])
    summary = import_videos(source, tmp_path / 'out', inputs=[file], background='rest', overwrite=True)
    assert summary.classes[-1] == 'rest'
    with pytest.raises(UsageError, match='has the layout semantic: give another folder'):
        import_videos(source, tmp_path / 'out', 'panoptic', inputs=[file], overwrite=True)


def test_other_options_of_the_reader_need_overwrite(source, tmp_path):
    import_videos(source, tmp_path / 'out', options=dict(format='id-masks', binary=True))
    with pytest.raises(UsageError, match='options binary=True format=id-masks, not options format=id-masks: ask'):
        import_videos(source, tmp_path / 'out', options=dict(format='id-masks'))
    import_videos(source, tmp_path / 'out', options=dict(binary=True, format='id-masks'))


def test_files_that_the_source_has_found_are_inputs(source, tmp_path):
    (tmp_path / 'masks').mkdir()
    (tmp_path / 'masks/0.png').write_text('1')
    source.inputs = [tmp_path / 'masks']
    import_videos(source, tmp_path / 'out')
    (tmp_path / 'masks/0.png').rename(tmp_path / 'masks/1.png')
    with pytest.raises(UsageError, match='annotations [0-9a-f]*, options none, not annotations [0-9a-f]*: ask'):
        import_videos(source, tmp_path / 'out')
    with pytest.raises(UsageError, match='would overwrite or mix with the input'):
        import_videos(source, tmp_path / 'masks/out')


def test_a_failed_first_try_leaves_the_choice(source, tmp_path):
    good, source.found[0] = source.found[0], SourceVideo('north', SIZE, [
        SourceFrame('0', tmp_path / 'frames/missing.jpg', 0, True)])
    source.found[1:] = []
    with pytest.raises(DataError, match='does not exist'):
        import_videos(source, tmp_path / 'out')
    source.found[0] = good
    import_videos(source, tmp_path / 'out', 'instances')
    assert (tmp_path / 'out/train.json').is_file()


def test_folders_of_others_stay_as_they_are(source, tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'train.txt').write_text('mine')
    for overwrite in (False, True):
        with pytest.raises(UsageError, match='holds "train.txt" and is not an imported dataset'):
            import_videos(source, out, overwrite=overwrite)
    assert [path.name for path in out.iterdir()] == ['train.txt']
    (out / '.settings.json').write_text('{"height": 480, "quality": 75}')  # of the converter of VSPW
    for overwrite in (False, True):
        with pytest.raises(UsageError, match='is not an imported dataset'):
            import_videos(source, out, overwrite=overwrite)
    with pytest.raises(UsageError, match='would overwrite or mix with the input'):
        import_videos(source, tmp_path / 'frames/north/out')
    with pytest.raises(UsageError, match='is a file'):
        import_videos(source, out / 'train.txt')


def test_split():
    names = [f'video{index}' for index in range(20)]
    split = choose_split(names)
    assert list(split) == names and sorted(split.values()).count('val') == 4
    longer = choose_split([*names, 'video20'])
    assert sum(longer[name] != split[name] for name in names) <= 2
    assert choose_split(['only']) == dict(only='train')
    assert sorted(choose_split(['a', 'b']).values()) == ['train', 'val']
    assert set(choose_split(names, val_share=0).values()) == {'train'}
    assert choose_split(['a', 'b'], ['a']) == dict(a='val', b='train')


@pytest.mark.parametrize('layout', ['semantic', 'instances', 'panoptic'])
def test_one_video_is_for_both(tmp_path, layout, problems, load):
    source = make_source(tmp_path / 'frames', names=('only', ))
    summary = import_videos(source, tmp_path / 'out', layout)
    assert not problems(summary.config) and len(load(summary.config, 'val').videos) == 1
    assert 'validation uses the training videos' in summary.to_text()


def test_summary_counts(source, tmp_path):
    summary = import_videos(source, tmp_path / 'out', 'panoptic', val=['south'])
    assert summary.by_class('objects') == dict(car=4) and summary.by_class('shown') == dict(road=10, car=10)
    expected = sum(int((classes_of(index) == 1).sum()) for index in range(5))
    assert summary.by_class('pixels')['car'] == 2 * expected
    text = summary.to_text()
    assert 'no frame shows bird' in text and '100.0%' in text
