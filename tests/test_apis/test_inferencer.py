# Copyright (c) The mmvc contributors. All rights reserved.
"""One result, however a video is given, cut or stored: that of tools/test.py."""

import itertools
import json
import weakref

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from PIL import Image

from mmvc.apis import InstanceFrame, PanopticFrame, SemanticFrame
from mmvc.apis.sources import Arrays, VideoFile
from mmvc.models.utils import FeatureStore
from mmvc.registry import DATASETS
from mmvc.utils.adaptive_threads import AdaptiveThreads
from mmvc.utils.errors import UsageError
from tests.helpers.tiny_inference import CLASSES, POSTPROCESSORS, tiny_config
from tests.helpers.tiny_models import STAGES

TASKS = tuple(POSTPROCESSORS)


def maps(results):
    return np.stack([result.id_map() for result in results])


def test_equals_the_test_tool(make_inferencer, frame_folder, tmp_path):
    """The files that the runner's test writes, to the last pixel."""
    result, = make_inferencer('DVISOffline')(frame_folder, out_dir=tmp_path / 'here', formats=['official'])
    cfg = tiny_config('DVISOffline')
    (tmp_path / 'data/videos.txt').write_text('clip\n')
    cfg.test_dataloader.dataset.data_root = str(tmp_path / 'data')
    cfg.test_evaluator = dict(type='VSSMetric', output_dir=str(tmp_path / 'there'), format_only=True)
    cfg.load_from, cfg.work_dir = str(tmp_path / 'DVISOffline.pth'), str(tmp_path / 'work_dir')
    Runner.from_cfg(cfg).test()
    expected = {path.name: np.asarray(Image.open(path)) for path in (tmp_path / 'there/clip').iterdir()}
    found = {path.name: np.asarray(Image.open(path)) for path in result.files['official'].iterdir()}
    assert found.keys() == expected.keys() and len(found) == 8
    assert len(np.unique([*expected.values()])) > 1  # else any map would do
    for name, labels in expected.items():
        assert np.array_equal(found[name], labels), name


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize('stage', STAGES)
def test_equals_the_test_step(make_inferencer, frame_folder, stage, task):
    """For every model and task: what the dataset, its pipeline and the model's test step give."""
    inferencer = make_inferencer(stage, task)
    dataset = inferencer.cfg.test_dataloader.dataset
    dataset.data_root = str(frame_folder.parents[1])
    (frame_folder.parents[1] / 'videos.txt').write_text('clip\n')
    for path in sorted(frame_folder.iterdir())[4:]:
        path.unlink()
    batch = pseudo_collate([DATASETS.build(dataset)[0]])
    with torch.no_grad():
        expected, = inferencer.model.test_step(batch)
    found = list(inferencer.stream(frame_folder, online=False))
    assert len(found) == len(expected) == 4
    for result, sample in zip(found, expected):
        if task == 'vss':
            assert np.array_equal(result.sem_seg, sample.pred_sem_seg.sem_seg[0])
        elif task == 'vps':
            assert np.array_equal(result.panoptic_seg, sample.pred_panoptic_seg.panoptic_seg[0])
            assert result.segments_info == sample.segments_info
        else:
            for key in ('masks', 'labels', 'scores', 'instances_ids'):
                assert torch.equal(result.data_sample.pred_track_instances[key], sample.pred_track_instances[key])


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize('stage', STAGES)
def test_windows_do_not_matter(make_inferencer, frames, stage, task):
    """Cut into windows of 1, 3, 7 and all: the same labels, and logits to 1e-4."""
    inferencer, outputs = make_inferencer(stage, task), []
    post_process = inferencer.model.postprocessor.frames
    for window_size in (8, 1, 3, 7):
        logits, inferencer.window_size = [], window_size

        def caught(prediction, logits=logits):
            logits.extend(prediction.frames(probabilities=False))
            logits.append(prediction.class_probs.log())
            return post_process(prediction)

        inferencer.model.postprocessor.frames = caught
        outputs.append((maps(inferencer.stream(frames, online=False)), logits))
    expected_maps, expected_logits = outputs.pop(0)
    assert len(np.unique(expected_maps)) > 1
    for found_maps, logits in outputs:
        assert len(logits) == 9
        for found, expected in zip(logits, expected_logits):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        assert (found_maps != expected_maps).mean() < 1e-4  # pixels on the line between two labels


@pytest.mark.parametrize('task', TASKS)
def test_windows_do_not_matter_online(make_inferencer, frames, task):
    inferencer, outputs = make_inferencer('DVISOnline', task), []
    for inferencer.window_size in (8, 1, 3, 7):
        outputs.append(maps(inferencer.stream(frames)))
    expected, *others = outputs
    assert len(np.unique(expected)) > 1
    for found in others:
        assert (found != expected).mean() < 1e-4


@pytest.mark.parametrize('stage', STAGES)
def test_features_on_disk(make_inferencer, frames, stage):
    on_disk = make_inferencer(stage, max_memory=0)
    assert on_disk.feature_store['memory_limit'] == 0
    expected = maps(make_inferencer(stage).stream(frames, online=False))
    assert np.array_equal(maps(on_disk.stream(frames, online=False)), expected)


def test_sources_agree(make_inferencer, frames, frame_folder, tmp_path):
    """Folder, pattern, files, arrays and an iterator that can be read only once."""
    inferencer = make_inferencer('DVISOffline', window_size=8)
    expected = maps(inferencer.stream(frames))
    files = [frame_folder / f'frame_{index}.png' for index in range(8)]
    for source in (frame_folder, str(frame_folder / '*.png'), files, np.stack(frames)):
        assert np.array_equal(maps(inferencer.stream(source)), expected)
    assert np.array_equal(maps(inferencer.stream(iter(frames))), expected)


def test_typed_results(make_inferencer, frames):
    frames = frames[:3]
    for task, kind in (('vss', SemanticFrame), ('vps', PanopticFrame), ('vis', InstanceFrame)):
        results = list(make_inferencer('DVISOffline', task).stream(frames))
        assert [result.index for result in results] == [0, 1, 2]
        for result, frame in zip(results, frames):
            assert type(result) is kind and result.classes == tuple(CLASSES)
            assert np.array_equal(result.image, frame)
            segments = result.segments()
            assert segments and all(segment.mask.any() and segment.mask.shape == (75, 110) for segment in segments)
            if task != 'vis':
                drawn = np.zeros((75, 110), int)
                for segment in segments:
                    drawn[segment.mask] = segment.id
                assert np.array_equal(drawn, result.id_map())
                assert np.array_equal(drawn, result.above(1.).id_map())  # it has no instances to leave out
            else:
                assert result.masks.shape == (5, 75, 110) and result.masks.dtype == bool
                assert [segment.id for segment in segments] == result.instances_ids[result.masks.any((1, 2))].tolist()
            assert [CLASSES[segment.label] for segment in segments] == [segment.class_name for segment in segments]


def test_id_map_of_instances(make_inferencer, frames):
    """The surest instance is on top, and those below the threshold are left out."""
    result = next(make_inferencer('DVISOffline', 'vis').stream(frames))
    instances = result.data_sample.pred_track_instances
    instances.masks = torch.zeros(5, 75, 110, dtype=torch.bool)
    instances.masks[0, :10], instances.masks[1, :20], instances.masks[2, :30] = True, True, True
    instances.scores = torch.tensor([0.5, 0.9, 0.2, 0., 0.])
    instances.instances_ids = torch.tensor([0, 1, 2, 3, 4])
    assert np.unique(result.id_map()[:20]).tolist() == [2] and np.unique(result.id_map()[20:30]).tolist() == [3]
    assert np.unique(result.above(0.3).id_map()[20:]).tolist() == [0]


def test_an_online_model_answers_at_once(make_inferencer, frames):
    """Before the next frame is asked for; and it forgets the frames that are done."""
    inferencer, asked, alive = make_inferencer('DVISOnline'), [], []

    def camera():
        for index in range(12):
            asked.append(index)
            image = frames[index % 8].copy()
            alive.append(weakref.ref(image))
            yield image
            del image

    for index, result in enumerate(inferencer.stream(camera())):
        assert asked[-1] == result.index == index
        assert sum(ref() is not None for ref in alive) <= 2  # this frame, and one that is passed from hand to hand
    assert index == 11


def test_an_offline_model_reads_twice_and_forgets(make_inferencer, frames):
    inferencer, alive = make_inferencer('DVISOffline', window_size=3), []

    class Video:
        """Makes its frames when they are asked for."""

        def __len__(self):
            return 12

        def __getitem__(self, index):
            if index >= 12:
                raise IndexError
            image = frames[index % 8].copy()
            alive.append(weakref.ref(image))
            assert sum(ref() is not None for ref in alive) <= 5  # a window, and what is passed from hand to hand
            return image

    assert sum(1 for _ in inferencer.stream(Video())) == 12
    assert len(alive) == 24


def test_a_source_that_shrinks(make_inferencer, frames):

    class Shrinking(Arrays):
        length = 3

        def read(self, stride=1):
            yield from itertools.islice(super().read(stride), self.length)
            self.length -= 1

    stream = make_inferencer('DVISOffline').stream(Shrinking(frames, 'my frames'))
    with pytest.raises(UsageError, match='my frames had 3 frames .* only 2 .* do not change it'):
        list(stream)


def test_a_broken_frame_at_the_end_is_reported(make_inferencer, frames):
    result, = make_inferencer('DVISOffline')([*frames[:3], np.zeros(3)], skip_broken=True)
    assert result.num_frames == 3 and [frame.index for frame in result.skipped] == [3]


def test_an_endless_source_needs_an_online_model(make_inferencer, frames, video_file):
    source = VideoFile(str(video_file))
    source.endless = True
    inferencer = make_inferencer('DVISOffline')
    with pytest.raises(UsageError, match='DVISOffline refines a video as a whole.*has no end.*--max-frames'):
        inferencer.stream(source)
    assert len(list(inferencer.stream(source, max_frames=2))) == 2
    assert len(list(make_inferencer('DVISOnline').stream(source))) == 8
    with pytest.raises(UsageError, match='while it is read') as caught:
        inferencer(frames, online=True)
    assert 'frames)' not in str(caught.value)  # a part of it would be refused, too


def test_keeps_the_frames_of_a_recording(make_inferencer, frames):
    """An offline model and a source that cannot be read twice; also with a store that halves the precision."""
    half = {'model.feature_store': dict(dtype='float16')}
    inferencer = make_inferencer('DVISOffline', max_memory=0, cfg_options=half)
    results = list(inferencer.stream(iter(frames), max_frames=5))
    assert len(results) == 5
    for result, frame in zip(results, frames):
        assert np.array_equal(result.image, frame)


@pytest.mark.parametrize('max_memory', [2**-12, 1])
def test_one_limit_for_all_that_is_kept(make_inferencer, frames, monkeypatch, tmp_path, max_memory):
    """Features, the frames of a recording and panoptic maps; and all of them in the model's folder."""
    stores, extend = [], FeatureStore.extend

    def watched(store, tensors):
        extend(store, tensors)
        if not any(store is known for known in stores):
            stores.append(store)

    monkeypatch.setattr(FeatureStore, 'extend', watched)
    options = {'model.feature_store': dict(folder=str(tmp_path))}
    inferencer = make_inferencer('DVISOffline', 'vps', max_memory=max_memory, cfg_options=options)
    before = inferencer.model.feature_store
    assert len(list(inferencer.stream(iter(frames)))) == 8
    assert len(stores) == 3 and all(store.folder == str(tmp_path) for store in stores)
    in_memory = sum(store.bytes_in_memory for store in stores)
    assert 0 < in_memory <= max_memory * 2**30
    assert (sum(store.bytes_on_disk for store in stores) == 0) == (max_memory == 1)
    assert inferencer.model.feature_store is before


@pytest.mark.parametrize('size', [(1, 1), (33, 47), (110, 31), (75, 110)])
@pytest.mark.parametrize('stage', ['DVISOnline', 'DVISOffline'])
def test_odd_sizes_and_single_frames(make_inferencer, stage, size, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    inferencer = make_inferencer(stage)
    result, = inferencer([image], out_dir=tmp_path / 'out', formats=['overlay', 'masks', 'official', 'rle'])
    assert result.num_frames == 1 and result.size == size
    assert np.asarray(Image.open(result.files['masks'] / '00000000.png')).shape == size
    video = cv2.VideoCapture(str(result.files['overlay']))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 1
    result, = inferencer(image, out_dir=tmp_path / 'image')
    assert cv2.imread(str(result.files['overlay'])).shape[1] == size[1]  # a picture, not a video


def test_stride_and_max_frames(make_inferencer, video_file, tmp_path):
    inferencer = make_inferencer()
    everything = list(inferencer.stream(video_file))
    result, = inferencer(video_file, stride=3, out_dir=tmp_path / 'out')
    assert [frame.index for frame in result] == [0, 3, 6] and result.fps == 4
    assert cv2.VideoCapture(str(result.files['overlay'])).get(cv2.CAP_PROP_FPS) == 4
    for found in inferencer.stream(video_file, stride=3, online=False):
        assert np.array_equal(found.image, everything[found.index].image)
    assert [frame.index for frame in inferencer(video_file, max_frames=2)[0]] == [0, 1]
    with pytest.raises(UsageError, match='stride must be at least 1'):
        inferencer(video_file, stride=0)


@pytest.mark.parametrize('amp', ['bf16', 'fp16'])
def test_half_precision(make_inferencer, frames, amp):
    """Close to full precision, not equal to it; and the caller's precision is left alone."""
    frames = frames[:3]
    expected, seen = list(make_inferencer('DVISOffline').stream(frames)), []
    try:
        inferencer = make_inferencer('DVISOffline', amp=amp)
    except UsageError as error:
        pytest.skip(str(error))  # an old torch
    inferencer.model.backbone.register_forward_hook(lambda module, inputs, outputs: seen.append(outputs[0].dtype))
    different = 0
    for found, result in zip(inferencer.stream(frames), expected):
        assert (torch.ones(1, 1) @ torch.ones(1, 1)).dtype == torch.float32 and torch.is_grad_enabled()
        different += (found.sem_seg != result.sem_seg).mean() / 3
    assert set(seen) == {dict(bf16=torch.bfloat16, fp16=torch.float16)[amp]}
    assert different < 0.1


def test_what_is_compiled(make_inferencer, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, 'compile', lambda module: compiled.append(type(module).__name__) or module)
    make_inferencer('DVISOffline', compile=True)
    assert compiled == ['ResNet', 'FrameQueryHead']


@pytest.mark.slow  # a minute of compiling
def test_compiled_gives_the_same(make_inferencer, frames):
    expected = maps(make_inferencer('DVISOffline').stream(frames))
    found = maps(make_inferencer('DVISOffline', compile=True).stream(frames))
    assert (found != expected).mean() < 1e-3


def test_many_inputs(make_inferencer, frame_folder, video_file, tmp_path):
    """Videos of one name get different ones; every one is written."""
    results = make_inferencer()([frame_folder, video_file], out_dir=tmp_path / 'out', formats=['rle', 'official'])
    assert [result.video for result in results] == ['clip', 'clip_avi']
    for result in results:
        content = json.loads(result.files['rle'].read_text())
        assert content['video'] == result.video and len(content['frames']) == result.num_frames == 8
        assert len(list(result.files['official'].iterdir())) == 8


def test_a_format_may_be_a_string(make_inferencer, frames, tmp_path):
    result, = make_inferencer()(frames[:1], out_dir=tmp_path / 'out', formats='rle')
    assert list(result.files) == ['rle']
    with pytest.raises(UsageError, match='got overlays'):
        make_inferencer()(frames, out_dir=tmp_path / 'out', formats='overlays')


def test_frames_that_the_pipeline_cannot_resize(make_inferencer):
    with pytest.raises(UsageError, match='frames of 5000x1 do not pass'):
        make_inferencer()([np.zeros((1, 5000, 3), np.uint8)])


def test_arguments_are_checked(make_inferencer, frames):
    for kwargs, message in ((dict(window_size=0), 'window_size'), (dict(window_size=1.5), 'window_size'),
                            (dict(max_memory=-1), 'max_memory'), (dict(max_memory=float('nan')), 'max_memory'),
                            (dict(amp='fp8'), 'bf16, fp16'), (dict(device='cuda:99'), 'cuda:99'),
                            (dict(cfg_options={'model.window_size': 0}), 'model.window_size of the config'),
                            (dict(cfg_options={'model.window_size': 'a'}), "window_size .* got 'a'"),
                            (dict(cfg_options={'model.feature_store': dict(dtype='int8')}), 'feature_store .*int8'),
                            (dict(cfg_options={'model.feature_store': dict(limit=1)}), 'feature_store .*limit'),
                            (dict(cfg_options={'model.type.x': 1}), 'cfg_options .* do not fit the config')):
        with pytest.raises(UsageError, match=message):
            make_inferencer(**kwargs)
    inferencer = make_inferencer()
    nan = float('nan')
    for kwargs in (dict(alpha=1.5), dict(fps=0), dict(fps=nan), dict(fps=1e9), dict(score_thr=1.5),
                   dict(score_thr=nan), dict(max_frames=0), dict(stride=1.5), dict(stride=np.int64(0))):
        with pytest.raises(UsageError, match=next(iter(kwargs))):
            inferencer(frames, **kwargs)
    with pytest.raises(UsageError, match='takes one video'):
        inferencer.stream([np.stack(frames), np.stack(frames)])
    for source, kwargs, message in (('nofile.mp4', {}, 'does not exist'), (frames, dict(stride=0), 'stride')):
        with pytest.raises(UsageError, match=message):  # before the first frame is asked for
            inferencer.stream(source, **kwargs)


@pytest.mark.parametrize('stage', ['DVISOnline', 'DVISOffline'])
def test_keyframes(make_inferencer, video_file, monkeypatch, stage):
    """Half of the frames pass through the network; all have a result."""
    inferencer = make_inferencer(stage, keyframe_interval=2)
    process_window, seen = inferencer.model.process_window, []

    def watched(frames, state=None):
        seen.append(frames)
        return process_window(frames, state)

    monkeypatch.setattr(inferencer.model, 'process_window', watched)
    result, = inferencer(str(video_file))
    assert len(result.frames) == 8 and 4 <= len(seen) < 8
    with pytest.raises(UsageError, match='keyframe_interval'):
        make_inferencer(stage, keyframe_interval=0)


@pytest.mark.parametrize('stage', ['DVISOnline', 'DVISOffline'])
def test_threads_are_adapted_in_every_window(make_inferencer, frames, monkeypatch, stage):
    calls = []
    monkeypatch.setattr(AdaptiveThreads, 'adapt', lambda self: calls.append(self))
    list(make_inferencer(stage).stream(np.stack(frames[:3])))
    assert len(calls) > 3
