# Copyright (c) The mmvc contributors. All rights reserved.
"""The card of a shared model: a README.md with the header that the Hugging Face Hub reads."""

import re
from collections.abc import Mapping, Sequence

from mmvc import __version__
from mmvc.utils.errors import UsageError
from mmvc.utils.tasks import TASKS, VIS, VPS, VSS

_LICENSE = re.compile(r'[a-z0-9][a-z0-9.+-]*')  # identifiers of the hub: apache-2.0, cc-by-nc-4.0

_RESULTS = {
    VSS: 'a class for every pixel of every frame',
    VPS: 'a segment for every pixel, with the same number in all frames',
    VIS: 'a mask per frame for every object, and its track',
}

_BODY = """# {title}

A {kind} for {task}: {result}. It was made with mmvc {version} and has {parameters}
million parameters.

**Licence of the weights:** {license}
{notes}
## Use

```python
from mmvc.apis import VideoSegInferencer

inferencer = VideoSegInferencer.from_pretrained('{source}')
result, = inferencer('video.mp4', out_dir='out', formats=('overlay', 'masks'))
```

`model.safetensors` holds the weights, the config and the names of the classes, so it also runs alone:

```shell
python -m mmvc.apis video.mp4 --weights model.safetensors --out-dir out
```

## Classes ({count})

{classes}
"""


def check_license(license: str | None) -> None:
    """Raise an error unless a licence is None or an identifier of the hub.

    Raises:
        UsageError: It is something else.
    """
    if license is not None and not _LICENSE.fullmatch(license):
        raise UsageError(f'license must be an identifier such as apache-2.0 or cc-by-nc-4.0, got "{license}"')


def model_card(task: str, kind: str, classes: Sequence[str], parameters: int, license: str | None, source: str,
               numbers: Mapping[str, float] | None = None, notes: str = '') -> str:
    """Write a model card.

    Args:
        task (str): ``'vss'``, ``'vps'`` or ``'vis'``.
        kind (str): Type of the model.
        classes (Sequence[str]): Names of the classes.
        parameters (int): Number of parameters.
        license (str, optional): Identifier of the licence of the weights; None: not stated.
        source (str): Repository or folder, for the example.
        numbers (Mapping, optional): Metrics by name, as a test gives them (``vss/mIoU``). Defaults to None: no table.
        notes (str): Markdown about the data and the limits. Defaults to ``''``.

    Returns:
        str: Markdown with a YAML header.
    """
    name = TASKS[task].title
    header = [*([f'license: {license}'] if license else []), 'library_name: mmvc',
              'pipeline_tag: image-segmentation',  # the hub has no tag for videos
              'tags:', '- video-segmentation', f'- {name.replace(" ", "-")}']
    body = _BODY.format(
        title=source.rstrip('/').split('/')[-1], kind=kind, task=name, result=_RESULTS[task], version=__version__,
        parameters=f'{parameters / 1e6:,.1f}', source=source, count=len(classes),
        license=license or 'not stated. Ask the authors before you use them.',
        classes=', '.join(f'`{item}`' for item in classes), notes=f'\n{notes.strip()}\n' if notes.strip() else '')
    return '\n'.join(['---', *header, '---', '', body + _table(numbers)])


def _table(numbers: Mapping[str, float] | None) -> str:
    if not numbers:
        return ''
    rows = [f'| {name.split("/")[-1]} | {value:.2f} |' for name, value in numbers.items()]
    return '\n'.join(['', '## Numbers', '', '| metric | value |', '| --- | ---: |', *rows, ''])
