# Copyright (c) The mmvc contributors. All rights reserved.
"""Files: their content, read back by others; complete or absent."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_utils

from mmvc.formats.label_maps import read_panoptic_map
from mmvc.utils.choices import OUTPUT_FORMATS
from mmvc.utils.errors import UsageError
from mmvc.utils.folder_lock import hold_folder
from tests.helpers.tiny_inference import CLASSES, PALETTE


@pytest.fixture
def segment(make_inferencer, frames, tmp_path):
    """Segment three frames, write all formats, and return the result and the full-size frames."""

    def run(task, stage='DVISOffline', **kwargs):
        inferencer = make_inferencer(stage, task)
        result, = inferencer(frames[:3], out_dir=tmp_path / 'out', formats=OUTPUT_FORMATS, score_thr=0., **kwargs)
        online = kwargs.get('online', False)
        return result, list(inferencer.stream(frames[:3], online=online))

    return run


def test_masks_of_classes(segment):
    result, frames = segment('vss')
    assert sorted(path.name for path in result.files['masks'].iterdir()) == [f'{index:08d}.png' for index in range(3)]
    for frame in frames:
        image = Image.open(result.files['masks'] / f'{frame.name}.png')
        assert image.mode == 'P' and np.array_equal(np.asarray(image), frame.sem_seg)
        assert image.getpalette()[:6] == [*PALETTE[0], *PALETTE[1]]


def test_masks_of_ids(segment):
    for task in ('vps', 'vis'):
        result, frames = segment(task)
        for frame in frames:
            image = Image.open(result.files['masks'] / f'{frame.name}.png')
            assert np.array_equal(np.asarray(image), frame.id_map()) and np.asarray(image).max() > 0
            assert image.getpalette()[:3] == [0, 0, 0]


def test_large_ids_need_sixteen_bits(make_inferencer, frames, tmp_path):
    inferencer = make_inferencer('DVISOnline', 'vis')
    post_process = inferencer.model.postprocessor.frames

    def with_large_ids(prediction):
        for sample in post_process(prediction):
            sample.pred_track_instances.instances_ids += 999
            yield sample

    inferencer.model.postprocessor.frames = with_large_ids
    result, = inferencer(frames[:2], out_dir=tmp_path / 'out', formats=['masks'], score_thr=0)
    image = np.asarray(Image.open(result.files['masks'] / '00000001.png'))
    assert image.dtype != np.uint8 and image.max() >= 1000


@pytest.mark.parametrize('task', ['vss', 'vps', 'vis'])
def test_rle(segment, task):
    result, frames = segment(task)
    content = json.loads(result.files['rle'].read_text())
    assert content['task'] == task and content['classes'] == CLASSES and content['fps'] == 10
    assert [frame['name'] for frame in content['frames']] == [frame.name for frame in frames]
    for written, kept, frame in zip(content['frames'], result.frames, frames):
        segments = frame.segments()
        assert len(written['segments']) == len(kept.segments) == len(segments) > 0
        for entry, from_result, expected in zip(written['segments'], kept.segments, segments):
            mask = mask_utils.decode(entry['segmentation'])
            assert np.array_equal(mask, expected.mask) and np.array_equal(from_result.mask, expected.mask)
            assert entry['area'] == mask.sum() and entry['category'] == CLASSES[entry['category_id']]
            rows, columns = np.where(mask)
            assert entry['bbox'] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert ('score' in entry) == (task != 'vss') and entry['id'] == expected.id


def test_vspw(segment):
    result, frames = segment('vss')
    assert result.files['official'].parts[-2:] == ('vspw', 'video')
    for frame in frames:
        image = Image.open(result.files['official'] / f'{frame.name}.png')
        assert image.mode == 'L' and np.array_equal(np.asarray(image), frame.sem_seg)


@pytest.mark.parametrize('online', [False, True])
def test_vipseg(segment, tmp_path, online):
    result, frames = segment('vps', 'DVISOnline', online=online)
    video, = json.loads((tmp_path / 'out/vipseg/pred.json').read_text())['annotations']
    assert video['video_id'] == 'video' and len(video['annotations']) == 3
    for entry, frame in zip(video['annotations'], frames):
        ids = read_panoptic_map(str(result.files['official'] / entry['file_name']))
        assert np.array_equal(ids, frame.panoptic_seg)
        assert {s['id']: s['category_id'] for s in entry['segments_info']} == {
            s['id']: s['category_id'] for s in frame.segments_info}


def test_youtube_vis(make_inferencer, frames, tmp_path):
    """Two videos, told apart by the numbers that videos.json explains."""
    inferencer = make_inferencer('DVISOffline', 'vis')
    clips = [np.stack(frames[:3]), np.stack(frames[3:5])]
    inferencer(clips, out_dir=tmp_path / 'out', formats=['official'])
    content = json.loads((tmp_path / 'out/youtube_vis/videos.json').read_text())
    tracks = json.loads((tmp_path / 'out/youtube_vis/results.json').read_text())
    assert [(v['id'], v['name'], len(v['file_names']), v['height'], v['width']) for v in content['videos']] == [
        (1, 'video', 3, 75, 110), (2, 'video_2', 2, 75, 110)]
    names = {category['id']: category['name'] for category in content['categories']}
    for clip, video in zip(clips, content['videos']):
        results = list(inferencer.stream(clip))
        of_video = [track for track in tracks if track['video_id'] == video['id']]
        assert len(of_video) == 5
        for index, track in enumerate(sorted(of_video, key=lambda track: -track['score'])):
            assert names[track['category_id']] == CLASSES[results[0].labels[index]]
            for rle, result in zip(track['segmentations'], results):
                assert np.array_equal(mask_utils.decode(rle) if rle else np.zeros((75, 110)), result.masks[index])


def test_overlay(segment, make_inferencer, frames, tmp_path):
    """As many frames as were read, at the wanted speed and strength; alpha 0 leaves most of the frame as it is."""
    result, _ = segment('vss', fps=7)
    video = cv2.VideoCapture(str(result.files['overlay']))
    assert video.get(cv2.CAP_PROP_FPS) == 7 and video.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    assert (video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT) >= 76) == (110, True)
    inferencer, difference = make_inferencer('DVISOffline'), {}
    for alpha in (0., 1.):
        result, = inferencer(frames[0], out_dir=tmp_path / f'{alpha}', alpha=alpha)
        picture = cv2.imread(str(result.files['overlay']))[:75]
        difference[alpha] = np.median(np.abs(picture.astype(int) - frames[0]))
    assert difference[0.] == 0 and difference[1.] > 20


def test_instances_that_score_little_are_not_drawn(make_inferencer, frames, tmp_path):
    inferencer, pictures = make_inferencer('DVISOffline', 'vis'), []
    for score_thr in (0., 1.0):
        result, = inferencer(frames[0], out_dir=tmp_path / f'{score_thr}', score_thr=score_thr, formats=OUTPUT_FORMATS)
        pictures.append(cv2.imread(str(result.files['overlay']))[:75])
        masks = np.asarray(Image.open(result.files['masks'] / '00000000.png'))
        assert masks.any() == (score_thr == 0) and len(result.frames[0].segments) > 0
    assert not np.array_equal(*pictures) and np.array_equal(pictures[1], frames[0])


# --- complete or absent ---


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file())


@pytest.mark.parametrize('error', [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize('task', ['vss', 'vps', 'vis'])
def test_an_interrupted_run_leaves_nothing(make_inferencer, frames, tmp_path, task, error):
    """And what an earlier run has written stays."""
    inferencer, out_dir = make_inferencer('DVISOffline', task), tmp_path / 'out'
    inferencer(frames[:2], out_dir=out_dir, formats=OUTPUT_FORMATS)
    before = {name: (out_dir / name).read_bytes() for name in names(out_dir)}
    assert len(before) >= 5
    post_process = inferencer.model.postprocessor.frames

    def interrupted(prediction):
        for index, sample in enumerate(post_process(prediction)):
            if index == 3:
                raise error
            yield sample

    inferencer.model.postprocessor.frames = interrupted
    with pytest.raises(error):
        inferencer(frames, out_dir=out_dir, formats=OUTPUT_FORMATS)
    assert {name: (out_dir / name).read_bytes() for name in names(out_dir)} == before
    inferencer.model.postprocessor.frames = post_process
    inferencer(frames, out_dir=out_dir, formats=OUTPUT_FORMATS)
    assert set(before) <= set(names(out_dir)) and not [name for name in names(out_dir) if '/.' in f'/{name}']
    with pytest.raises(error):
        inferencer.model.postprocessor.frames = interrupted
        inferencer(frames, out_dir=tmp_path / 'new', formats=OUTPUT_FORMATS)
    assert names(tmp_path / 'new') == []


def test_an_older_result_is_replaced_as_a_whole(make_inferencer, frames, tmp_path):
    inferencer = make_inferencer()
    for num_frames in (5, 2):
        result, = inferencer(frames[:num_frames], out_dir=tmp_path / 'out', formats=['masks'])
        assert len(names(tmp_path / 'out')) == num_frames


def test_inputs_are_never_overwritten(make_inferencer, frame_folder, video_file, tmp_path):
    """An output would be an input, or a folder around it."""
    inferencer = make_inferencer()
    mp4 = tmp_path / 'clip.mp4'
    mp4.write_bytes(video_file.read_bytes())
    before = mp4.read_bytes()
    for inputs, out_dir, formats in ((mp4, tmp_path, ['overlay']),
                                     (frame_folder / 'frame_1.png', frame_folder, ['overlay'])):
        with pytest.raises(UsageError, match='would overwrite or mix with the input'):
            inferencer(inputs, out_dir=out_dir, formats=formats)
    (tmp_path / 'masks').mkdir()
    moved = frame_folder.rename(tmp_path / 'masks/clip')
    with pytest.raises(UsageError, match='would overwrite or mix'):
        inferencer(moved, out_dir=tmp_path, formats=['masks'])
    assert mp4.read_bytes() == before and len(list(moved.iterdir())) == 8


def test_a_folder_that_cannot_be_written_to(make_inferencer, frames, tmp_path):
    (tmp_path / 'file').touch()
    inferencer = make_inferencer()
    inferencer.model.predict_video = None  # found out before the work begins
    with pytest.raises(UsageError, match='cannot write to folder ".*file" .*--out-dir'):
        inferencer(frames, out_dir=tmp_path / 'file')
    with pytest.raises(UsageError, match='formats are overlay, masks, rle, official; got gif'):
        inferencer(frames, out_dir=tmp_path / 'out', formats=['gif'])


def test_a_folder_that_another_process_writes_to_is_refused(make_inferencer, frame_folder, tmp_path, monkeypatch):
    monkeypatch.setattr('mmvc.utils.folder_lock.PATIENCE', 0.)
    inferencer = make_inferencer()
    with hold_folder(tmp_path / 'out'), pytest.raises(UsageError, match='is in use by process'):
        inferencer(str(frame_folder), out_dir=tmp_path / 'out')
    inferencer(str(frame_folder), out_dir=tmp_path / 'out')
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['.mmvc', 'clip.mp4']


def test_a_folder_of_other_things_is_not_replaced_by_masks(make_inferencer, frame_folder, tmp_path):
    photo = tmp_path / 'out/masks/clip/photo.jpg'
    photo.parent.mkdir(parents=True)
    photo.touch()
    with pytest.raises(UsageError, match='photo.jpg'):
        make_inferencer()(str(frame_folder), out_dir=tmp_path / 'out', formats='masks')
    assert photo.exists()
