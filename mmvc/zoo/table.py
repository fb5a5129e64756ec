# Copyright (c) The mmvc contributors. All rights reserved.
from prettytable import PrettyTable

from mmvc.utils.config_names import read_models
from mmvc.utils.errors import named

from .addresses import parse_hub_address
from .catalogue import PublishedWeights, list_weights
from .shipped import find_shipped_weights

_COLUMNS = ('name', 'task', 'data', 'published score', 'size', 'licence', 'source')
_TASKS = {'Video Semantic Segmentation': 'VSS', 'Video Panoptic Segmentation': 'VPS',
          'Video Instance Segmentation': 'VIS'}


def model_table(query: str | None = None) -> str:
    """Make a table of the published weights.

    Args:
        query (str, optional): Only rows that contain each of its words, such as ``'vspw vitl'``; upper and lower case
            are the same. Defaults to None: all rows.

    Returns:
        str: The table, and a line about the configs without published weights.
    """
    published = list_weights()
    rows = [_row(weights) for weights in published]
    words = (query or '').lower().split()
    rows = [row for row in rows if all(word in ' '.join(row).lower() for word in words)]
    shipped = {weights.name for weights in published if weights.is_shipped}
    without = [model['Name'] for model in read_models() if 'Weights' not in model and model['Name'] not in shipped
               and all(word in ' '.join(map(str, model.values())).lower() for word in words)]
    lines = []
    if rows:
        table = PrettyTable(_COLUMNS, align='l')
        table.add_rows(rows)
        lines.append(str(table))
    if query and not rows:
        lines.append(f'no published weights fit "{query}"')
    if without:
        lines.append(f'{len(without)} more models have a config and no published weights'
                     + (f': {named(without)}' if query else ''))
    return '\n'.join(lines)


def _row(weights: PublishedWeights) -> list[str]:
    scores = ', '.join(f'{name} {value}' for name, value in weights.scores.items())
    task = _TASKS[weights.task] if weights.config else 'start weights'
    return [weights.name, task, weights.data or '-', scores or '-', weights.size or '-', weights.licence,
            _source(weights)]


def _source(weights: PublishedWeights) -> str:
    """Where the file is: a folder of the repository, a repository of the hub, or a server."""
    if weights.is_shipped:
        folder = weights.address.split('/')[0]
        return f'{folder}/ (here)' if find_shipped_weights(weights) is not None else f'{folder}/ (in a clone only)'
    file = parse_hub_address(weights.address)
    return weights.address.split('/')[2] if file is None else f'hf://{file.repo}'
