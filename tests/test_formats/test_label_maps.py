# Copyright (c) The mmvc contributors. All rights reserved.
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mmvc.formats.label_maps import (
    encode_label_map,
    encode_panoptic_map,
    read_label_map,
    read_panoptic_map,
    segment_id,
)
from mmvc.utils.image_files import PNG_SIGNATURE


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'mask.png'


def save(path, values, palette=None, **options):
    image = Image.fromarray(values)
    if palette is not None:
        image.putpalette(palette)
    image.save(path, **options)
    return str(path)


def test_label_map_round_trip(path):
    values = np.arange(256, dtype=np.int64).reshape(16, 16)
    path.write_bytes(encode_label_map(values))
    read = read_label_map(str(path))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize('bits', [2, 4, 8])
def test_a_palette_gives_its_indices(path, bits):
    values = (np.arange(24, dtype=np.uint8) % 4).reshape(4, 6)
    np.testing.assert_array_equal(read_label_map(save(path, values, [9, 9, 9, 7, 7, 7, 1, 2, 3, 0, 0, 0], bits=bits)),
                                  values)


def test_grey_with_a_transparent_value(path):
    values = np.arange(24, dtype=np.uint8).reshape(4, 6)
    np.testing.assert_array_equal(read_label_map(save(path, values, transparency=3)), values)


@pytest.mark.parametrize('values, message', [
    (np.zeros((4, 4, 3), np.uint8), r'mask.png" is a colour image of shape \(4, 4, 3\).*mmvc convert annotations'),
    (np.zeros((4, 4, 4), np.uint8), 'mask.png" is a colour image'),
    (np.full((4, 4), 300, np.uint16), 'mask.png" holds the value 300 with more than 8 bits'),
    (np.zeros((4, 4), bool), 'mask.png" holds bool numbers'),
])
def test_what_is_no_label_map(path, values, message):
    with pytest.raises(ValueError, match=message):
        read_label_map(save(path, values))


def test_panoptic_map_round_trip(path):
    ids = np.array([[0, 1, 255], [256, 65536, (1 << 24) - 1]])
    path.write_bytes(encode_panoptic_map(ids))
    read = read_panoptic_map(str(path))
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, ids)
    with pytest.raises(ValueError, match='24 bits'):
        encode_panoptic_map(ids + 1)


def test_the_id_of_a_colour(path):
    colours = np.array([[[0, 0, 0], [1, 2, 3], [255, 0, 0], [0, 0, 255]]], np.uint8)
    ids = [[segment_id(colour) for colour in row] for row in colours.tolist()]
    assert ids == [[0, 197121, 255, 16711680]]
    palette = Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8), 'P')
    palette.putpalette(colours.reshape(-1).tolist())
    palette.save(path)
    np.testing.assert_array_equal(read_panoptic_map(str(path)), ids)
    for options in (dict(), dict(transparency=(1, 2, 3))):
        np.testing.assert_array_equal(read_panoptic_map(save(path, colours, **options)), ids)


@pytest.mark.parametrize('kind', [np.uint8, np.uint16])
def test_a_grey_panoptic_map_holds_the_ids(path, kind):
    np.testing.assert_array_equal(read_panoptic_map(save(path, np.array([[0, 7]], kind))), [[0, 7]])


def test_a_panoptic_map_has_no_alpha(path):
    with pytest.raises(ValueError, match=r'mask.png" has the shape \(4, 4, 4\)'):
        read_panoptic_map(save(path, np.zeros((4, 4, 4), np.uint8)))


@pytest.mark.parametrize('read', [read_label_map, read_panoptic_map])
def test_damaged_files(tmp_path, read):
    path = tmp_path / 'mask.png'
    for content in (b'', b'no image', encode_label_map(np.zeros((9, 9)))[:50], b'\x89PNG\r\n\x1a\n'):
        path.write_bytes(content)
        with pytest.raises(ValueError, match='mask.png" cannot be decoded'):
            read(str(path))
    path.write_bytes(cv2.imencode('.jpg', np.ones((8, 8), np.uint8))[1].tobytes())
    with pytest.raises(ValueError, match='mask.png" is a JPEG'):
        read(str(path))
    with pytest.raises(FileNotFoundError, match='c.png" does not exist'):
        read(str(tmp_path / 'c.png'))


@pytest.mark.parametrize('value', [-1, 256, 280])
def test_class_indices_never_wrap(value):
    with pytest.raises(ValueError, match='do not fit the 8 bits'):
        encode_label_map(np.array([[0, value]]))


@pytest.mark.parametrize('kind', ['WEBP', 'JPEG2000', 'TIFF'])
@pytest.mark.parametrize('read', [read_label_map, read_panoptic_map])
def test_compression_with_a_loss(path, read, kind):
    values = np.zeros((16, 16, 3), np.uint8)
    options = dict(compression='jpeg') if kind == 'TIFF' else {}
    Image.fromarray(values).save(path, kind, **options)
    with pytest.raises(ValueError, match=f'mask.png" is a {kind} with a compression that changes the values'):
        read(str(path))


def test_a_mask_that_viewers_turn(path):
    exif = Image.Exif()
    exif[0x112] = 3
    with pytest.raises(ValueError, match='has an EXIF orientation'):
        read_label_map(save(path, np.zeros((4, 6), np.uint8), exif=exif))
    exif[0x112] = 1
    read_label_map(save(path, np.zeros((4, 6), np.uint8), exif=exif))


def write_png(path, depth: int, colour: int, row: bytes, width: int) -> str:
    """Write a PNG of one row of any bit depth; Pillow writes a few only."""
    header = struct.pack('>IIBBBBB', width, 1, depth, colour, 0, 0, 0)
    chunks = ((b'IHDR', header), (b'IDAT', zlib.compress(b'\0' + row)), (b'IEND', b''))
    path.write_bytes(PNG_SIGNATURE + b''.join(struct.pack('>I', len(data)) + kind + data
                                              + struct.pack('>I', zlib.crc32(kind + data)) for kind, data in chunks))
    return str(path)


@pytest.mark.parametrize('read', [read_label_map, read_panoptic_map])
@pytest.mark.parametrize('depth, colour, row, width, message', [
    (2, 0, bytes([0b00011011]), 4, '2 bits in grey'),  # classes 0 to 3, which decoders make 0, 85, 170 and 255
    (4, 0, bytes([0x01, 0x2f]), 4, '4 bits in grey'),
    (16, 2, struct.pack('>6H', 5, 0, 0, 7, 1, 0), 2, '16 bits per colour'),  # of which decoders keep the upper 8
])
def test_bits_that_decoders_change(path, read, depth, colour, row, width, message):
    with pytest.raises(ValueError, match=f'mask.png" is a PNG with {message}, whose values decoders change'):
        read(write_png(path, depth, colour, row, width))


@pytest.mark.parametrize('kind', ['GIF', 'PNG', 'TIFF'])
@pytest.mark.parametrize('read', [read_label_map, read_panoptic_map])
def test_an_animation_is_no_mask(path, read, kind):
    frames = [Image.fromarray(np.full((4, 6), value, np.uint8)) for value in (1, 2)]
    frames[0].save(path, kind, save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match='mask.png" has 2 pictures'):
        read(str(path))


def test_a_panoptic_map_has_no_negative_ids(path):
    Image.fromarray(np.array([[-5, 2]], np.int32)).save(path, 'TIFF')
    with pytest.raises(ValueError, match='holds ids from -5 to 2'):
        read_panoptic_map(str(path))
