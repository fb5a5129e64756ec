# Copyright (c) The mmvc contributors. All rights reserved.
"""Random damage: a parser gives what it gave before, something of the right form, or an error that names the file."""

import argparse
import copy
import json
import shutil

import numpy as np
import pytest
import torch

from mmvc.datasets.checks import check_vipseg, check_vis, check_vspw
from mmvc.engine import OverrideAction, require_checkpoint
from mmvc.evaluation.files import evaluate_vis, evaluate_vps
from mmvc.formats.rle import to_rle, to_rles
from mmvc.importers.coco_tracks import CocoTracks
from mmvc.importers.cvat_masks import CvatMasks
from mmvc.importers.cvat_xml import CvatXml
from mmvc.importers.mots_png import MotsPng
from mmvc.importers.source import VOID_CATEGORY
from mmvc.utils.checkpoint_loading import load_from_local
from mmvc.utils.errors import CheckpointError, DataError, UsageError
from tests.helpers.annotation_exports import (
    coco_content,
    cvat_body,
    write_cvat_masks,
    write_cvat_xml,
    write_json,
    write_mots_png,
)
from tests.helpers.drawn_videos import write_frames
from tests.helpers.tiny_datasets import HEIGHT, WIDTH, WRITERS, load_all

hypothesis = pytest.importorskip('hypothesis')
from hypothesis import HealthCheck, given, settings, strategies as st  # noqa: E402
from pycocotools import mask as mask_utils  # noqa: E402


def fuzz(max_examples):
    """The same examples in every run, however slow the machine."""
    return settings(max_examples=max_examples, derandomize=True, deadline=None, database=None,
                    suppress_health_check=list(HealthCheck))


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 12), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(['left', 'right', '0.png', '../x', '/', '\0', '\ud800', '1', 'cup', 10**30, -0.0]))
values = st.recursive(leaves, lambda inner: st.one_of(
    st.lists(inner, max_size=3),
    st.dictionaries(st.sampled_from(['id', 'size', 'counts', 'name', 'x']), inner, max_size=3)), max_leaves=6)


def places(content, path=()):
    """Paths to everything inside a JSON content."""
    yield path
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


@st.composite
def mutated(draw, content):
    """A JSON content with a value replaced, removed or repeated, once or twice."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from([path for path in places(content) if path]))
        parent = content
        for key in path[:-1]:
            parent = parent[key]
        action = draw(st.sampled_from(['replace', 'remove', 'repeat']))
        if action == 'replace':
            parent[path[-1]] = draw(values)
        elif action == 'remove':
            del parent[path[-1]]
        elif isinstance(parent, list):
            parent.append(parent[path[-1]])
        if not content:
            break
    return content


@st.composite
def damaged(draw, content):
    """Bytes of a file cut off, with other bytes put in, or with some left out."""
    content = bytearray(content)
    action = draw(st.sampled_from(['cut', 'flip', 'insert', 'drop', 'other']))
    place = draw(st.integers(0, len(content) - 1))
    if action == 'cut':
        del content[place:]
    elif action == 'flip':
        content[place] ^= draw(st.integers(1, 255))
    elif action == 'insert':
        content[place:place] = draw(st.binary(min_size=1, max_size=9))
    elif action == 'drop':
        del content[place:place + draw(st.integers(1, 40))]
    else:
        content = draw(st.binary(max_size=60))
    return bytes(content)


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    """An intact dataset of each format."""
    roots = {}
    for kind, write in WRITERS.items():
        roots[kind] = tmp_path_factory.mktemp(kind)
        write(roots[kind])
    return roots


def numbers(samples):
    """What a dataset gave, as something to compare."""
    return [(sample['inputs'].sum().item(), [(frame.gt_instances.labels.tolist(),
                                              frame.gt_instances.instances_ids.tolist(),
                                              int(frame.gt_instances.masks.masks.sum()))
                                             for frame in sample['data_samples']]) for sample in samples]


def check_loading(kind, root, original=None):
    """Load everything; an error must be of ours and name a file below the root."""
    try:
        samples = load_all(kind, root)
    except (DataError, OSError) as error:
        assert str(root) in str(error), repr(error)
        return
    for sample in samples:
        frames = list(sample['data_samples'])
        assert tuple(sample['inputs'].shape[:2]) == (len(frames), 3)
        for frame in frames:
            labels, masks = frame.gt_instances.labels, frame.gt_instances.masks
            assert len(labels) == len(masks) and masks.masks.shape[1:] == sample['inputs'].shape[2:]
    if original is not None:
        assert numbers(samples) == original


@pytest.mark.parametrize('kind', ['vipseg', 'vis', 'coco'])
@fuzz(80)
@given(data=st.data())
def test_annotation_files_with_other_content(roots, kind, data):
    root = roots[kind]
    path = root / 'train.json'
    intact = path.read_bytes()
    try:
        path.write_text(json.dumps(data.draw(mutated(json.loads(intact)))))
        check_loading(kind, root)
    finally:
        path.write_bytes(intact)


@pytest.mark.parametrize('kind', ['vipseg', 'vis', 'coco'])
@fuzz(40)
@given(data=st.data())
def test_annotation_files_with_other_bytes(roots, kind, data):
    path = roots[kind] / 'train.json'
    intact = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(intact)))
        check_loading(kind, roots[kind])
    finally:
        path.write_bytes(intact)


@pytest.mark.parametrize('kind', ['vspw', 'camvid'])
@fuzz(50)
@given(content=st.one_of(st.binary(max_size=30), st.lists(st.one_of(
    st.sampled_from(['left', 'right', '.', '..', '', '\0', 'left/', '/', 'left ']), st.text(max_size=6)),
    max_size=4).map(lambda lines: '\n'.join(lines).encode('utf-8', 'surrogatepass'))))
def test_lists_of_videos(roots, kind, content):
    path = roots[kind] / 'train.txt'
    intact = path.read_bytes()
    try:
        path.write_bytes(content)
        check_loading(kind, roots[kind])
    finally:
        path.write_bytes(intact)


@pytest.mark.parametrize('kind, name', [('vspw', 'data/left/mask/1.png'), ('camvid', 'Annotations/left/1.png'),
                                        ('vipseg', 'panomasksRGB/left/1.png')])
@fuzz(60)
@given(data=st.data())
def test_masks_are_what_they_were_or_an_error(roots, kind, name, data):
    """A damaged PNG never gives other labels."""
    original = numbers(load_all(kind, roots[kind]))
    path = roots[kind] / name
    intact = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(intact)))
        check_loading(kind, roots[kind], original)
    finally:
        path.write_bytes(intact)


@fuzz(60)
@given(data=st.data())
def test_frames(roots, data):
    path = roots['vspw'] / 'data/left/origin/1.jpg'
    intact = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(intact)))
        check_loading('vspw', roots['vspw'])
    finally:
        path.write_bytes(intact)


@fuzz(200)
@given(segmentation=st.one_of(
    values,
    st.fixed_dictionaries(dict(size=st.just([HEIGHT, WIDTH]), counts=st.one_of(
        st.text(max_size=12), st.binary(max_size=12), st.lists(st.integers(-1, 200), max_size=5),
        st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=12)))),
    st.lists(st.lists(st.one_of(st.floats(), st.integers(-20, 40)), max_size=9), max_size=3)))
def test_masks_of_instances(segmentation):
    """What is accepted can be decoded, by compiled code that checks nothing."""
    try:
        rle = to_rle(segmentation, HEIGHT, WIDTH)
    except DataError:
        return
    assert rle is None and not segmentation or mask_utils.decode(rle).shape == (HEIGHT, WIDTH)


@fuzz(100)
@given(pixels=st.lists(st.booleans(), min_size=HEIGHT * WIDTH, max_size=HEIGHT * WIDTH))
def test_true_masks_of_instances_are_accepted(pixels):
    mask = np.asfortranarray(np.array(pixels, np.uint8).reshape(HEIGHT, WIDTH))
    for counts in (lambda text: text, bytes.decode):
        rle = mask_utils.encode(mask)
        rle = to_rle(dict(size=list(rle['size']), counts=counts(rle['counts'])), HEIGHT, WIDTH)
        assert (mask_utils.decode(rle) == mask).all()


def runs_of(text: str):
    """The runs that a text of counts stands for, read character by character; None if it is cut off."""
    runs, number, place = [], 0, 0
    for code in (ord(character) - 48 for character in text):
        number |= (code & 31) << place
        place += 5
        if not code & 32:
            if code & 16:
                number -= 1 << place
            runs.append(number + runs[-2] if len(runs) > 2 else number)
            number = place = 0
    return None if place else runs


masks_of_instances = st.lists(st.booleans(), min_size=HEIGHT * WIDTH, max_size=HEIGHT * WIDTH).map(
    lambda pixels: mask_utils.encode(np.array(pixels, np.uint8).reshape(HEIGHT, WIDTH, order='F'))['counts'].decode())
nearly_masks = st.builds(lambda text, at, character: text[:at] + character + text[at + 1:], masks_of_instances,
                         st.integers(0, 12), st.characters(min_codepoint=48, max_codepoint=111))


@fuzz(200)
@given(texts=st.lists(st.one_of(masks_of_instances, masks_of_instances, masks_of_instances, nearly_masks), max_size=6))
def test_masks_of_instances_checked_together_are_those_accepted_one_by_one(texts):
    runs = [runs_of(text) for text in texts]
    segmentations = [dict(size=[HEIGHT, WIDTH], counts=text) for text in texts]
    if all(of_text and min(of_text) >= 0 and sum(of_text) == HEIGHT * WIDTH for of_text in runs):
        assert to_rles(segmentations, HEIGHT, WIDTH) == segmentations
    else:
        with pytest.raises(DataError, match='counts'):
            to_rles(segmentations, HEIGHT, WIDTH)


@fuzz(60)
@given(data=st.data())
def test_results_of_instance_segmentation(roots, data):
    truth = roots['vis'] / 'train.json'
    path = roots['vis'] / 'results.json'
    tracks = [dict(track, score=0.5) for track in json.loads(truth.read_text())['annotations']]
    path.write_text(json.dumps(data.draw(mutated(tracks))))
    try:
        report = evaluate_vis(path, truth)
    except (DataError, OSError, ValueError) as error:
        assert 'results.json' in str(error)
    else:
        assert 0 <= report.numbers['AP'] <= 1


@fuzz(40)
@given(data=st.data())
def test_results_of_panoptic_segmentation(roots, data):
    root = roots['vipseg']
    pred = root / 'pred'
    if not pred.exists():
        shutil.copytree(root / 'panomasksRGB', pred / 'pan_pred')
    content = json.loads((root / 'train.json').read_text())
    (pred / 'pred.json').write_text(json.dumps(data.draw(mutated(dict(annotations=content['annotations'])))))
    try:
        report = evaluate_vps(pred, root / 'train.json', str(root / 'panomasksRGB/{video}'))
    except (DataError, OSError, ValueError) as error:
        assert str(pred) in str(error)
    else:
        assert 0 <= report.numbers['VPQ1'] <= 1  # windows of two frames and more are not full


@pytest.mark.parametrize('kind', ['vipseg', 'vis'])
@fuzz(40)
@given(data=st.data())
def test_checks_of_datasets_report_and_never_fail(roots, kind, data, tmp_path_factory):
    root = roots[kind]
    content = data.draw(mutated(json.loads((root / 'train.json').read_text())))
    name = dict(vipseg='panoptic_gt_VIPSeg_train.json', vis='instances_train.json')[kind]
    (root / name).write_text(json.dumps(content))
    try:
        report = check_vipseg(root, ['train'], own=True) if kind == 'vipseg' else check_vis(
            root, 'ovis', ['train'], own=True)
    finally:
        (root / name).unlink()
    assert report.to_text() and json.dumps(report.to_dict())


@fuzz(30)
@given(data=st.data())
def test_check_of_vspw_reports_and_never_fails(roots, data):
    root = roots['vspw']
    name = data.draw(st.sampled_from(['train.txt', 'data/left/mask/1.png', 'data/left/origin/0.jpg']))
    intact = (root / name).read_bytes()
    try:
        (root / name).write_bytes(data.draw(damaged(intact)))
        assert check_vspw(root, ['train'], own=True, num_classes=2).to_text()
    finally:
        (root / name).write_bytes(intact)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('checkpoint') / 'iter_1.pth'
    torch.save(dict(state_dict=dict(weight=torch.arange(50.)), meta=dict(iter=1)), path)
    return path


@fuzz(150)
@given(data=st.data())
def test_checkpoints_are_what_they_were_or_refused(checkpoint, data):
    """What passes the checks has the weights that were written."""
    intact = checkpoint.read_bytes()
    path = checkpoint.with_name('damaged.pth')
    content = data.draw(damaged(intact))
    path.write_bytes(content)
    try:
        require_checkpoint(path)
    except UsageError as error:
        assert str(path) in str(error)
        return
    if content[:2] == b'\x80\x02':  # a bare pickle, as of old torch: judged when it is loaded
        return
    try:
        weights = load_from_local(path)['state_dict']['weight']
    except CheckpointError as error:
        assert str(path) in str(error)
        return
    assert torch.equal(weights, torch.arange(50.))


@fuzz(150)
@given(argument=st.one_of(st.text(max_size=12), st.text(st.sampled_from('ab.=,()[]{}\'" 1e-+'), max_size=14)))
def test_overrides_on_the_command_line(argument):
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument('--cfg-options', nargs='+', action=OverrideAction)
    try:
        options = parser.parse_args([f'--cfg-options={argument}']).cfg_options
    except argparse.ArgumentError as error:
        assert repr(argument)[1:-1] in repr(str(error)) or argument in str(error)
    else:
        assert list(options or ()) == ([argument.partition('=')[0]] if argument != '--' else [])


@pytest.fixture(scope='module')
def exports(tmp_path_factory):
    """Exports of annotation tools: the reader, and the file to damage, by format."""
    root = tmp_path_factory.mktemp('exports')
    for name, suffix in (('xml', '.jpg'), ('coco', '.PNG')):
        write_frames(root / name / 'images', [f'frame_{index:06d}' for index in range(5)], suffix)
    return dict(
        xml=(CvatXml, write_cvat_xml(root / 'xml/annotations.xml', cvat_body())),
        coco=(CocoTracks, write_json(root / 'coco/annotations/instances_default.json', coco_content())),
        masks=(CvatMasks, write_cvat_masks(root / 'masks') / 'labelmap.txt'),
        mots=(MotsPng, write_mots_png(root / 'mots') / 'instances/labels.txt'))


def read_export(reader, path):
    """Read everything; an error must be of ours, name a file and take one line."""
    root = path.parent if path.parent.name not in ('annotations', 'instances') else path.parents[1]
    try:
        source = reader.from_path(root)
        for video in source.videos():
            for regions in source.regions(video):
                for region in regions:
                    assert region.mask.dtype == bool and region.mask.shape == video.size
                    assert region.category == VOID_CATEGORY or 0 <= region.category < len(source.categories)
    except (DataError, UsageError, OSError) as error:
        assert str(root) in str(error) and '\n' not in str(error), repr(error)


@pytest.mark.parametrize('kind', ['xml', 'coco', 'masks', 'mots'])
@fuzz(60)
@given(data=st.data())
def test_damaged_exports(exports, kind, data):
    reader, path = exports[kind]
    original = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(original)))
        read_export(reader, path)
    finally:
        path.write_bytes(original)


@fuzz(150)
@given(data=st.data())
def test_other_values_in_exports(exports, data):
    reader, path = exports['coco']
    original = path.read_text()
    try:
        path.write_text(json.dumps(data.draw(mutated(json.loads(original)))))
        read_export(reader, path)
    finally:
        path.write_text(original)
