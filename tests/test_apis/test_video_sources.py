# Copyright (c) The mmvc contributors. All rights reserved.
"""What can be read, and what is said about what cannot."""

import io
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmvc.apis.frame_reader import FrameReader
from mmvc.apis.sources import Arrays, Camera, Frame, ImageFiles, VideoFile, open_sources
from mmvc.apis.video_files import OpenCVVideo, PyAVVideo
from mmvc.utils.errors import UsageError


def read(source, **kwargs):
    reader = FrameReader(source, **kwargs)
    return list(reader), reader.skipped


def write_video(path, frames, codec, fps=12):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, frames[0].shape[1::-1])
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


@pytest.fixture
def long_video(tmp_path, frames):
    """An mp4 of 40 frames, with a key frame every twelve."""
    return write_video(tmp_path / 'long.mp4', [frames[index % 8] for index in range(40)], 'mp4v')


def damage(path, start, stop):
    """Overwrite a part of a file with zeros."""
    content = bytearray(path.read_bytes())
    start, stop = int(start * len(content)), int(stop * len(content))
    content[start:stop] = bytes(stop - start)
    path.write_bytes(content)


@pytest.mark.parametrize('name, codec', [
    ('clip.mp4', 'mp4v'), ('clip.avi', 'MJPG'), ('clip.mov', 'mp4v'), ('clip.webm', 'VP80'), ('clip.mkv', 'MJPG')])
def test_containers(tmp_path, frames, name, codec):
    source, = open_sources(write_video(tmp_path / name, frames, codec))
    assert type(source) is VideoFile and source.name == 'clip' and source.fps == 12 and source.num_frames == 8
    found, skipped = read(source)
    assert [frame.index for frame in found] == list(range(8)) and not skipped
    for frame, expected in zip(found, frames):
        assert frame.name == f'{frame.index:08d}' and frame.image.dtype == np.uint8
        assert np.abs(frame.image.astype(int) - expected[:74]).mean() < 25  # noise does not survive the codecs


def test_the_second_reading_is_the_same(video_file):
    reader = FrameReader(VideoFile(str(video_file)))
    for first, second in zip(list(reader), list(reader)):
        assert first.index == second.index and np.array_equal(first.image, second.image)


def test_frames_are_ordered_by_number(frame_folder, frames):
    for index in (10, 9):
        cv2.imwrite(str(frame_folder / f'frame_{index}.png'), frames[0])
    (frame_folder / '.hidden.png').write_bytes(b'')
    (frame_folder / 'notes.txt').write_text('not a frame')
    for spec in (frame_folder, str(frame_folder), str(frame_folder / '*.png')):
        source, = open_sources(spec)
        assert [path.stem for path in source.files] == [f'frame_{index}' for index in range(11) if index != 8]
        assert source.name == 'clip' and not source.is_image
    found, _ = read(source)
    assert np.array_equal(found[1].image, frames[1]) and found[1].name == 'frame_1'


def test_what_is_one_video_and_what_are_many(frame_folder, video_file, frames, tmp_path):
    images = sorted(frame_folder.glob('*.png'))
    source, = open_sources([str(path) for path in images])
    assert type(source) is ImageFiles and source.num_frames == 8
    source, = open_sources(images[0])
    assert source.is_image and source.name == 'frame_0'
    for arrays in (frames, np.stack(frames), iter(frames)):
        source, = open_sources(arrays)
        assert type(source) is Arrays and len(read(source)[0]) == 8
    assert not source.repeatable and source.live
    assert len(open_sources([np.stack(frames), np.stack(frames)])) == 2
    source, = open_sources(frames[0])
    assert source.is_image and source.num_frames == 1
    (tmp_path / 'other').mkdir()
    write_video(tmp_path / 'other/clip.avi', frames, 'MJPG')
    many = open_sources([str(frame_folder), str(video_file), str(tmp_path / 'other/*.avi')])
    assert [source.name for source in many] == ['JPEGImages_clip', f'{tmp_path.name}_clip', 'other_clip']


def test_frames_of_one_name_get_numbers(tmp_path, frames):
    paths = []
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / '1.png')
        cv2.imwrite(str(paths[-1]), frames[0])
    found, _ = read(open_sources(paths)[0])
    assert [frame.name for frame in found] == ['00000000', '00000001']


def test_a_camera(monkeypatch, frames):
    """By number or its text; it has no end, and closes when one has seen enough."""
    opened, rates = [], [30.]

    class FakeCapture:
        def __init__(self, path):
            opened.append(self)
            self.path, self.count, self.closed = path, 0, False

        def isOpened(self):
            return self.path == 1

        def grab(self):
            self.count += 1
            return self.path == 1

        def retrieve(self):
            return True, frames[self.count % 8]

        def get(self, key):
            return {cv2.CAP_PROP_FPS: rates[0], cv2.CAP_PROP_FRAME_COUNT: -1.0}.get(key, 0.0)

        def release(self):
            self.closed = True

    monkeypatch.setattr(cv2, 'VideoCapture', FakeCapture)
    for spec in (1, '1', np.int64(1)):
        source, = open_sources(spec)
        assert type(source) is Camera and source.live and source.endless and source.num_frames is None
        found, _ = read(source, max_frames=20)
        assert len(found) == 20 and source.fps == 30
    rates[0] = 90000.
    assert open_sources(1)[0].fps is None  # it does not know
    with pytest.raises(UsageError, match='camera 7 cannot be opened'):
        open_sources('7')
    assert all(capture.closed for capture in opened)


@pytest.mark.parametrize('address, num_frames, live', [
    ('https://host/videos/clip.mp4', 8, False), ('http://host/live', -1, True), ('HTTP://host/list.m3u8', -9e18, True),
    ('rtsp://user:secret@host/1', 8, True), ('rtmp://host/1', -1, True), ('udp://@:1234', -1, True)])
def test_what_an_address_is(monkeypatch, frames, address, num_frames, live):
    """A video as any other where its length is known, unless the scheme is that of streams."""

    class FakeCapture:
        isOpened = grab = lambda self: True
        release = lambda self: None  # noqa: E731

        def __init__(self, path):
            assert path == address

        def get(self, key):
            return {cv2.CAP_PROP_FPS: 25.0, cv2.CAP_PROP_FRAME_COUNT: num_frames}[key]

    monkeypatch.setattr(cv2, 'VideoCapture', FakeCapture)
    source, = open_sources(address)
    assert type(source) is VideoFile and source.live == source.endless == live and source.repeatable == (not live)
    assert source.num_frames == (None if live else 8) and source.name.strip('_') and 'secret' not in source.name


def test_a_file_by_its_address(video_file, tmp_path):
    spaced = tmp_path / 'a b.avi'
    spaced.write_bytes(video_file.read_bytes())
    source, = open_sources(spaced.as_uri())
    assert not source.live and source.repeatable and source.num_frames == 8 and source.path == str(spaced)
    with pytest.raises(UsageError, match='no.mp4" does not exist'):
        open_sources('file:///no.mp4')


def test_a_stopped_reader_ends(frames):
    reader = FrameReader(Arrays((frames[index % 8] for index in range(100)), 'generator'))
    for frame in reader:
        if frame.index == 3:
            reader.stop()
    assert reader.num_frames == 4


# --- what cannot be read ---


def test_missing_and_empty(tmp_path):
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'videos/a.mp4').touch()
    for spec, message in (('no.mp4', '"no.mp4" does not exist'),
                          (tmp_path / 'empty.mp4', 'empty.mp4" is empty'),
                          (tmp_path / 'folder', 'folder" holds no images .* but nothing'),
                          (tmp_path / 'videos', r'holds no images .* but 1 others, such as "a.mp4".*videos/\*'),
                          (str(tmp_path / '*.jpg'), 'matches no file'),
                          ([], 'the list of inputs is empty'),
                          ([tmp_path / 'no.jpg', tmp_path / 'no2.jpg'], 'no.jpg" does not exist'),
                          (None, 'cannot read frames from None'),
                          (1.5, 'cannot read frames from 1.5'),
                          ('', 'empty text'),
                          (np.zeros((3, 4), np.uint8), r'shape \(H, W, 3\) or \(T, H, W, 3\), got \(3, 4\)')):
        with pytest.raises(UsageError, match=message):
            open_sources(spec)


def test_not_a_video(tmp_path, monkeypatch):
    """Neither OpenCV nor PyAV can read it: the message says what to do."""
    path = tmp_path / 'noise.mp4'
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(UsageError, match=r'noise.mp4" \(5000 bytes\) cannot be decoded.*pip install av.*ffmpeg -i'):
        open_sources(path)


def test_arrays_are_checked(frames):
    for bad, found in ((frames[0][..., 0], r'uint8 \(75, 110\)'), (frames[0] / 255, 'float64'), ('x', 'str'),
                       (np.zeros((0, 9, 3), np.uint8), r'uint8 \(0, 9, 3\)')):
        with pytest.raises(UsageError, match=f'frame 1 of .*uint8 arrays .* in BGR, found {found}'):
            read(Arrays([frames[0], bad], 'video'))
        found, skipped = read(Arrays([frames[0], bad, frames[2]], 'video'), skip_broken=True)
        assert [frame.index for frame in found] == [0, 2] and [frame.index for frame in skipped] == [1]


@pytest.mark.parametrize('content', [b'', b'\x89PNG not really', None], ids=['empty', 'no image', 'cut off'])
def test_a_broken_image(frame_folder, content):
    path = frame_folder / 'frame_3.png'
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    source, = open_sources(frame_folder)
    with pytest.raises(UsageError, match='frame 3 .*frame_3.png.*--skip-broken'):
        read(source)
    found, skipped = read(source, skip_broken=True)
    assert [frame.index for frame in found] == [0, 1, 2, 4, 5, 6, 7]
    assert [(frame.index, Path(frame.name).name) for frame in skipped] == [(3, 'frame_3.png')]


def test_a_change_of_resolution(frame_folder):
    cv2.imwrite(str(frame_folder / 'frame_5.png'), np.zeros((20, 30, 3), np.uint8))
    source, = open_sources(frame_folder)
    with pytest.raises(UsageError, match='frame 5.*30x20, the frames before are 110x75.*resize'):
        read(source)
    found, skipped = read(source, skip_broken=True)
    assert len(found) == 7 and skipped[0].index == 5


def encode(codec, sizes, kind, pixels='yuv420p', count=3):
    """Streams of several sizes, one behind the other, as broadcasts and recorders write them."""
    av = pytest.importorskip('av')
    content = b''
    for width, height in sizes:
        buffer = io.BytesIO()
        with av.open(buffer, 'w', format=kind) as container:
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = width, height, pixels
            for value in range(count):
                image = np.full((height, width, 3), 40 * (value + 1), np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='bgr24')))
            container.mux(stream.encode())
        content += buffer.getvalue()
    return content


@pytest.mark.parametrize('codec, kind, pixels', [('mjpeg', 'mjpeg', 'yuvj420p'), ('libx264', 'h264', 'yuv420p'),
                                                 ('libx264', 'mpegts', 'yuv420p'), ('mpeg4', 'm4v', 'yuv420p')])
@pytest.mark.parametrize('sizes', [((96, 64), (128, 96)), ((128, 96), (96, 64))])
def test_a_change_of_resolution_within_a_file(tmp_path, codec, kind, pixels, sizes):
    """OpenCV goes on with the size of the first frame, and gives the same picture again and again."""
    path = tmp_path / f'clip.{kind}'
    path.write_bytes(encode(codec, [*sizes, sizes[0]], kind, pixels))
    (width, height), (other_width, other_height) = sizes
    with pytest.raises(UsageError, match=f'frame 3 .*it is {other_width}x{other_height}, the first frame is '
                                         f'{width}x{height}.*scale={width}:{height}'):
        read(open_sources(str(path))[0])
    reader = FrameReader(open_sources(str(path))[0], skip_broken=True)
    images = [frame.image for frame in reader]
    assert [frame.index for frame in reader.skipped] == [3, 4, 5]
    assert [round(image.mean() / 40) for image in images] == [1, 2, 3, 1, 2, 3]
    assert {image.shape[:2] for image in images} == {(height, width)}


def test_frames_of_a_video_that_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setenv('MMVC_MAX_MEGAPIXELS', '0.01')
    path = tmp_path / 'large.avi'
    path.write_bytes(encode('mjpeg', [(128, 96)], 'avi', 'yuvj420p'))
    decoded = []
    monkeypatch.setattr(OpenCVVideo, 'is_readable', property(decoded.append))
    with pytest.raises(UsageError, match='large.avi" is too large: its 0 megapixels are more than the limit of 0.01'):
        open_sources(str(path))
    monkeypatch.undo()
    assert not decoded, 'the header tells'
    assert len(read(open_sources(str(path))[0])[0]) == 3


@pytest.mark.parametrize('size', [(256, 128), (512, 512)])
def test_frames_of_a_video_that_grow(tmp_path, monkeypatch, size):
    path = tmp_path / 'grows.mjpeg'
    path.write_bytes(encode('mjpeg', [(96, 64), size], 'mjpeg', 'yuvj420p'))
    monkeypatch.setenv('MMVC_MAX_MEGAPIXELS', '0.02')
    for skip_broken in (False, True):
        with pytest.raises(UsageError, match='grows.mjpeg" is too large: .* MMVC_MAX_MEGAPIXELS'):
            read(open_sources(str(path))[0], skip_broken=skip_broken)
    with pytest.raises(UsageError, match='grows.mjpeg" is too large: .* MMVC_MAX_MEGAPIXELS'):
        list(PyAVVideo(str(path)).read())


def test_nothing_readable(frame_folder):
    for path in frame_folder.iterdir():
        path.write_bytes(b'')
    with pytest.raises(UsageError, match='clip: no frame could be read: '):
        read(open_sources(frame_folder)[0], skip_broken=True)


def test_a_video_with_a_hole(long_video):
    """Reading goes on behind it, and the frames keep their places."""
    intact, _ = read(VideoFile(str(long_video)))
    damage(long_video, 0.4, 0.5)
    source = VideoFile(str(long_video))
    found, skipped = read(source, skip_broken=True)
    assert len(found) < 40
    if skipped:  # other versions of FFmpeg may conceal the hole
        assert sum(frame.count for frame in skipped) + len(found) == 40
        with pytest.raises(UsageError, match='long.mp4: frame .* cannot be decoded: the file is damaged.*--skip-br'):
            read(source)
    assert found[-1].index == 39
    assert np.abs(found[0].image.astype(int) - intact[0].image).max() == 0


def test_a_video_that_was_cut_off(tmp_path, frames):
    """A file whose header announces more frames than there are."""
    path = write_video(tmp_path / 'cut.avi', [frames[index % 8] for index in range(40)], 'MJPG')
    capture_of = OpenCVVideo(str(path))
    capture_of.num_frames = 80
    decoded = list(capture_of.read())
    assert len(decoded) == 41
    index, reason, count = decoded[-1]
    assert (index, count) == (40, 40) and 'damaged or truncated' in reason
    capture_of = OpenCVVideo(str(path))
    capture_of.num_frames = 41  # an estimate, by the duration
    assert len(list(capture_of.read())) == 40


@pytest.mark.parametrize('stride', [1, 3])
def test_pyav_reads_the_same(long_video, stride):
    pytest.importorskip('av')
    with OpenCVVideo(str(long_video)) as video, PyAVVideo(str(long_video)) as other:
        assert video.fps == other.fps and video.num_frames == other.num_frames
        for (index, image, _), (other_index, other_image, _) in zip(video.read(stride), other.read(stride)):
            assert index == other_index
            assert np.abs(image.astype(int) - other_image).mean() < 3  # conversions of colours differ


def test_pyav_is_asked_where_opencv_fails(monkeypatch, long_video):
    pytest.importorskip('av')
    monkeypatch.setattr(OpenCVVideo, 'is_readable', False)
    found, _ = read(VideoFile(str(long_video)))
    assert len(found) == 40 and type(found[0]) is Frame


def test_pyav_skips_what_is_broken(monkeypatch, long_video):
    pytest.importorskip('av')
    damage(long_video, 0.4, 0.5)
    monkeypatch.setattr(OpenCVVideo, 'is_readable', False)
    found, skipped = read(VideoFile(str(long_video)), skip_broken=True)
    assert 20 < len(found) <= 40 and len(found) + len(skipped) <= 41
