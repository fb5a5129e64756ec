# Copyright (c) The mmvc contributors. All rights reserved.
"""Exports of annotation tools with known masks, written without the code that reads them."""

import json
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image
from pycocotools import mask as mask_utils

from tests.helpers.drawn_videos import SIZE, box, write_frames

# --- CVAT for video and images ---

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>4</id>
      <name>my street</name>
      <size>{size}</size>
      <mode>{mode}</mode>
      <start_frame>{start}</start_frame>
      <stop_frame>{stop}</stop_frame>
      <frame_filter>{step}</frame_filter>
      <labels>
        <label><name>car</name><color>#ff0080</color><type>any</type><attributes></attributes></label>
        <label><name>tree</name><color>#00ff00</color><attributes>
          <attribute><name>kind</name><values>a
b</values></attribute></attributes></label>
        <label><name>joint</name><type>points</type></label>
      </labels>
      <original_size><width>32</width><height>24</height></original_size>
    </task>
    <dumped>2026-11-30 12:00:00</dumped>
  </meta>
"""


def rle_of(mask):
    """Box and runs of a mask, as CVAT writes them; an independent encoder."""
    rows, columns = np.nonzero(mask)
    top, left = rows.min(), columns.min()
    part = mask[top:rows.max() + 1, left:columns.max() + 1]
    runs, value = [0], False
    for pixel in part.reshape(-1):
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return dict(rle=', '.join(map(str, runs)), left=left, top=top, width=part.shape[1], height=part.shape[0])


def shape(kind, **values):
    text = ' '.join(f'{key}={quoteattr(str(value))}' for key, value in values.items())
    return f'<{kind} {text}><attribute name="kind">a</attribute></{kind}>'


def rectangle(top, left, height, width):
    """Corners of a box of whole pixels as a polygon."""
    return f'{left:.2f},{top:.2f};{left + width:.2f},{top:.2f};' \
           f'{left + width:.2f},{top + height:.2f};{left:.2f},{top + height:.2f}'


def write_cvat_xml(path: Path, body: str, mode='interpolation', size=5, start=0, stop=4, step='') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD.format(mode=mode, size=size, start=start, stop=stop, step=step) + body + '</annotations>\n')
    return path


BLOB = box(3, 5, 4, 6) & ~box(4, 7, 2, 2)


def cvat_body(frames=range(5)):
    """A car (polygons, with z_order) in all frames but 3, a tree (boxes) in frames 0 and 1, a mask in frame 2."""
    car = [shape('polygon', frame=frame, keyframe=int(frame == 0), outside=int(place == 3), occluded=0,
                 points=rectangle(10, 2 + place, 6, 8), z_order=1) for place, frame in enumerate(frames)]
    tree = [shape('box', frame=frames[place], keyframe=1, outside=int(place == 2), occluded=0, xtl='8.00', ytl='12.00',
                  xbr='20.00', ybr='20.00', z_order=0) for place in range(3)]
    mask = [shape('mask', frame=frames[2], keyframe=1, outside=0, occluded=0, z_order=0, **rle_of(BLOB)),
            shape('mask', frame=frames[3], keyframe=1, outside=1, occluded=0, z_order=0, **rle_of(BLOB))]
    return f'<track id="0" label="car" source="manual">{"".join(car)}</track>\n' \
           f'<track id="1" label="tree" source="manual">{"".join(tree)}</track>\n' \
           f'<track id="2" label="tree" source="manual">{"".join(mask)}</track>\n'


def cvat_truth(place):
    """Class indices of a frame of :func:`cvat_body`, 255 = no object."""
    labels = np.full(SIZE, 255, np.uint8)
    if place < 2:
        labels[box(12, 8, 8, 12)] = 1
    if place == 2:
        labels[BLOB] = 1
    if place != 3:
        labels[box(10, 2 + place, 6, 8)] = 0
    return labels


# --- COCO ---


def coco_polygon(top, left, height, width):
    return [[left, top, left + width, top, left + width, top + height, left, top + height]]


def counts_of(mask):
    """Uncompressed RLE: runs down the columns, background first."""
    runs, value = [0], False
    for pixel in mask.T.reshape(-1):
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return dict(size=list(mask.shape), counts=runs)


def compressed(mask):
    rle = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(size=rle['size'], counts=rle['counts'].decode())


def coco_content(frames=5, tracks=True, name='frame_{:06d}.PNG', first_id=1, **image):
    """A car in all frames but 3 (polygons), and a blob in frames 1 (RLE) and 2 (compressed)."""
    images = [dict(id=first_id + index, file_name=name.format(index), height=24, width=32, **image)
              for index in range(frames)]
    annotations = []

    def add(index, category, segmentation, track, **more):
        attributes = dict(occluded=False, **(dict(track_id=track) if tracks else {}))
        annotations.append(dict(id=len(annotations) + 1, image_id=first_id + index, category_id=category,
                                segmentation=segmentation, attributes=attributes, **more))

    for index in range(frames):
        if index != 3:
            add(index, 1, coco_polygon(10, 2 + index, 6, 8), 4, iscrowd=0)
    add(1, 2, counts_of(BLOB), 0, iscrowd=1)  # as CVAT marks what was drawn with the brush
    add(2, 2, compressed(BLOB), 0, iscrowd=1)
    return dict(images=images, annotations=annotations, categories=[dict(id=1, name='car'), dict(id=2, name='tree')])


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


# --- Segmentation mask of CVAT ---

COLORS = dict(background=(0, 0, 0), car=(250, 50, 83), tree=(51, 221, 255))
LABELMAP = '# label:color_rgb:parts:actions\n' + ''.join(
    f'{name}:{",".join(map(str, color))}::\n' for name, color in COLORS.items())


def lines_of(index):
    """Line of the label of each pixel."""
    lines = np.zeros(SIZE, np.uint8)
    lines[box(4, 4, 8, 8)] = 2
    lines[box(6, 2 + index, 6, 8)] = 1
    return lines


def write_mask(path, lines, grey=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(lines if grey else np.array(list(COLORS.values()), np.uint8)[lines]).save(path)


def write_cvat_masks(root, folder='', count=4, labelled=(0, 2), grey=False):
    write_frames(root / 'JPEGImages' / folder, [f'frame_{index:06d}' for index in range(count)])
    for index in labelled:
        write_mask(root / f'SegmentationClass/{folder}/frame_{index:06d}.png', lines_of(index), grey)
    (root / 'labelmap.txt').write_text(LABELMAP)
    return root


# --- MOTS PNG ---


def ids_of(index):
    """A cat (class 1) in all frames, two dogs (class 2), and a part that is not evaluated."""
    ids = np.zeros(SIZE, np.uint16)
    ids[box(0, 0, 3, 5)] = 10000
    ids[box(10, 2 + index, 6, 8)] = 1000 + 7
    ids[box(14, 6, 4, 10)] = 2000 + 7
    if index:
        ids[box(4, 20, 4, 4)] = 2000 + 999
    return ids


def write_mots_png(root, folder='', count=4, labelled=(0, 1, 3), labels='cat\ndog\n'):
    write_frames(root / 'images' / folder, [f'{index:06d}' for index in range(count)], '.png')
    masks = root / 'instances' / folder
    masks.mkdir(parents=True)
    for index in labelled:
        Image.fromarray(ids_of(index)).save(masks / f'{index:06d}.png')
    if labels:
        (root / 'instances/labels.txt').write_text(labels)
    return root
