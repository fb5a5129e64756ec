# Copyright (c) The mmvc contributors. All rights reserved.
"""The notebook: valid, without outputs and local paths, and its cells run one after the other."""

import json

import pytest

from tests.helpers.doc_commands import ROOT

NOTEBOOKS = sorted((ROOT / 'docs/en/notebooks').glob('*.ipynb'))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def cells(request):
    return json.loads(request.param.read_text(encoding='utf-8'))['cells']


def test_there_is_a_notebook():
    assert [path.name for path in NOTEBOOKS] == ['first_steps.ipynb']


def test_it_is_stored_without_results(cells):
    for cell in cells:
        assert cell['cell_type'] in ('markdown', 'code') and isinstance(cell['source'], list) and cell['id']
        if cell['cell_type'] == 'code':
            assert cell['outputs'] == [] and cell['execution_count'] is None
    text = ''.join(line for cell in cells for line in cell['source'])
    assert '/home/' not in text and '/root' not in text and '/work/' not in text


def test_its_cells_run(cells, tmp_path, monkeypatch, capsys):
    plt = pytest.importorskip('matplotlib.pyplot')
    plt.switch_backend('Agg')
    monkeypatch.chdir(tmp_path)
    names = {'__name__': '__main__'}
    try:
        for number, cell in enumerate(cells):
            if cell['cell_type'] == 'code':
                exec(compile(''.join(cell['source']), f'cell {number}', 'exec'), names)
    finally:
        plt.close('all')
    assert names['result'].num_frames == 6
    assert 0 <= names['report'].numbers['mIoU'] <= 1
    assert (tmp_path / 'first_steps/out').is_dir()
    out = capsys.readouterr().out
    assert '6 frames;' in out and 'of the frame' in out and '| mIoU' in out
