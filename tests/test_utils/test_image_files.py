# Copyright (c) The mmvc contributors. All rights reserved.
import cv2
import numpy as np
import pytest

from mmvc.utils.image_files import find_damage


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
