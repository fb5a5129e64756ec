# Copyright (c) The mmvc contributors. All rights reserved.
import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.image_files import SIZE_VARIABLE, find_damage, read_image


def encode(suffix: str, *flags: int) -> bytes:
    image = np.random.RandomState(0).randint(0, 256, (40, 60, 3)).astype(np.uint8)
    return cv2.imencode(suffix, image, flags)[1].tobytes()


@pytest.fixture(scope='module')
def png():
    return encode('.png')


@pytest.fixture(scope='module', params=[0, 1], ids=['baseline', 'progressive'])
def jpeg(request):
    return encode('.jpg', cv2.IMWRITE_JPEG_PROGRESSIVE, request.param)


def test_whole_files_pass(png, jpeg):
    assert find_damage(png) is None
    assert find_damage(jpeg) is None


def test_bytes_behind_the_end_are_allowed(png, jpeg):
    assert find_damage(png + b'more') is None
    assert find_damage(jpeg + b'more') is None


def test_a_clip_behind_a_jpeg_is_allowed(jpeg):
    """A motion photo. Compressed video looks like random bytes, in which each marker occurs by chance."""
    for seed in range(20):
        assert find_damage(jpeg + np.random.RandomState(seed).bytes(200_000) + b'\xff\xda') is None


def test_a_thumbnail_does_not_end_a_jpeg(jpeg):
    thumbnail = encode('.jpg', cv2.IMWRITE_JPEG_QUALITY, 10)
    segment = b'\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail
    content = jpeg[:2] + segment + jpeg[2:]
    assert find_damage(content) is None
    assert find_damage(content[:-2]) == find_damage(content[:len(segment) + 2]) == 'the JPEG is cut off'


def test_an_empty_file():
    assert find_damage(b'') == 'the file is empty'


def test_every_truncation_of_a_png_is_found(png):
    for length in range(8, len(png)):
        assert find_damage(png[:length]) == 'the PNG is cut off', length


def test_every_flipped_byte_of_a_png_is_found(png):
    for position in range(8, len(png), 7):
        damaged = bytearray(png)
        damaged[position] ^= 0x10
        assert find_damage(bytes(damaged)) in ('a checksum of the PNG does not match', 'the PNG is cut off'), position


def test_a_wrong_checksum_is_named(png):
    damaged = bytearray(png)
    damaged[png.index(b'IDAT') + 10] ^= 1
    assert find_damage(bytes(damaged)) == 'a checksum of the PNG does not match'


def test_truncations_of_a_jpeg_are_found(jpeg):
    start = jpeg.index(b'\xff\xda')  # without a scan, a decoder reports the damage itself
    for length in range(start + 2, len(jpeg) - 1):
        assert find_damage(jpeg[:length]) == 'the JPEG is cut off', length


@pytest.mark.parametrize('content', [b'GIF89a', b'text', b'\xff\xd8', b'\x89PNG'])
def test_damage_of_other_content(content):
    """Files of other formats are left to their decoders; the start of a JPEG without its end is damage."""
    expected = 'the JPEG is cut off' if content == b'\xff\xd8' else None
    assert find_damage(content) == expected


def huge(suffix: str, side: int = 30000) -> bytes:
    """A small file whose header says ``side`` x ``side`` pixels."""
    if suffix == 'png':
        def chunk(kind, data):
            return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        header = struct.pack('>IIBBBBB', side, side, 8, 0, 0, 0, 0)
        return b''.join([b'\x89PNG\r\n\x1a\n', chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(bytes(1000))),
                         chunk(b'IEND', b'')])
    buffer = io.BytesIO()
    Image.new('L', (16, 16)).save(buffer, dict(jpg='JPEG').get(suffix, suffix.upper()))
    content = bytearray(buffer.getvalue())
    if suffix == 'jpg':
        at = content.index(b'\xff\xc0') + 5
        content[at:at + 4] = struct.pack('>HH', side, side)
    elif suffix == 'bmp':
        content[18:26] = struct.pack('<ii', side, side)
    else:
        content = content.replace(b'16 16', b'%d %d' % (side, side))
    return bytes(content)


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'bmp', 'ppm'])
def test_sizes_over_the_limit(suffix, tmp_path, monkeypatch):
    content = huge(suffix)
    expected = f'its 900 megapixels are more than the limit of 178: .* {SIZE_VARIABLE}=900'
    with monkeypatch.context() as patch:
        patch.delenv(SIZE_VARIABLE, raising=False)
        (tmp_path / 'image').write_bytes(content)
        with pytest.raises(DataError, match=f'image".* cannot be decoded .{expected}'):
            read_image(tmp_path / 'image')
        assert find_damage(huge(suffix, 13000)) is None or 'megapixels' not in find_damage(huge(suffix, 13000))
    monkeypatch.setenv(SIZE_VARIABLE, '900')
    assert 'megapixels' not in str(find_damage(content))
    monkeypatch.setenv(SIZE_VARIABLE, '0.001')
    assert 'more than the limit of 0.001' in find_damage(huge(suffix, 100))
    for text in ('many', '0', '-1', 'nan', ''):
        monkeypatch.setenv(SIZE_VARIABLE, text)
        with pytest.raises(UsageError, match=f'{SIZE_VARIABLE} must be a number above 0'):
            find_damage(content)


def test_all_readers_refuse_them(tmp_path):
    """In little memory, since the size is in the header."""
    for suffix in ('png', 'jpg', 'bmp'):
        (tmp_path / f'image.{suffix}').write_bytes(huge(suffix))
    code = f"""
import resource
from pathlib import Path
from mmvc.datasets.converters.files import open_image
from mmvc.datasets.transforms import LoadFrameFromFile
from mmvc.formats.label_maps import read_label_map, read_panoptic_map
from mmvc.utils.errors import DataError
from mmvc.utils.image_files import read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for suffix in ('png', 'jpg', 'bmp'):
    path = r'{tmp_path}/image.' + suffix
    for read in (lambda path: LoadFrameFromFile()(dict(img_path=path)), read_label_map, read_panoptic_map,
                 lambda path: open_image(Path(path)), read_image):
        try:
            read(path)
        except DataError as error:
            assert path in str(error) and '900 megapixels' in str(error), error
        else:
            raise AssertionError(path)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
"""
    done = subprocess.run([sys.executable, '-c', code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_read_image(tmp_path, png, jpeg):
    for name, content in (('a.png', png), ('a.jpg', jpeg)):
        path = tmp_path / name
        path.write_bytes(content)
        for flags in (cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE):
            np.testing.assert_array_equal(read_image(path, flags), cv2.imread(str(path), flags))
    for content in (b'', b'no image', png[:-20]):
        path.write_bytes(content)
        with pytest.raises(DataError, match='a.jpg" cannot be decoded'):
            read_image(path)


@pytest.mark.parametrize('orientation', [1, 6])
def test_a_webp_that_only_viewers_turn(orientation):
    """OpenCV turns JPEG, PNG and TIFF; a size of the header would not be that of the loaded frame."""
    exif, content = Image.Exif(), io.BytesIO()
    exif[0x112] = orientation
    Image.new('RGB', (6, 4)).save(content, 'WEBP', lossless=True, exif=exif)
    damage = find_damage(content.getvalue())
    assert damage is None if orientation == 1 else 'EXIF orientation (6) is not read from a WebP' in damage
