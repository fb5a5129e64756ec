# Copyright (c) The mmvc contributors. All rights reserved.
"""Tables of documents from kept numbers: what a cell shows, marks and corrections, pages, and the plans' results."""

import json
from pathlib import Path

import cv2
import pytest
from scipy import stats

from mmvc.ablation.doc_pages import DocTables, refresh_pages
from mmvc.ablation.experiment import Experiment, store_results, to_results
from mmvc.ablation.plot import _sort, plot_results
from mmvc.ablation.statistics import p_value_of_interval
from mmvc.ablation.summary import summarize
from mmvc.utils.errors import DataError, UsageError

ROOT = Path(__file__).parents[2]
METRICS = [dict(name='mIoU', stage='a', number='vss/mIoU', evaluation='clean', minus=None, higher_is_better=True),
           dict(name='VC8', stage='a', number='vss/VC8', evaluation='clean', minus=None, higher_is_better=True)]
VALUES = dict(base=[40.0, 42.0, 44.0], better=[50.0, 52.5, 54.0], same=[40.1, 41.0, 45.0])
RAW = dict(
    title='t', plan='configs/p.py', baseline='base', seeds=[0, 1, 2], level=0.95, metrics=METRICS,
    runs=[dict(variant=name, seed=seed, values=dict(mIoU=value))
          for name, values in VALUES.items() for seed, value in enumerate(values)])
STATED = dict(
    title='t', baseline='base', seeds=[0, 1, 2], level=0.95, runs=[], source='a page',
    means=[dict(variant='base', metric='mIoU', mean=40.0, std=1.5), dict(variant='a', metric='mIoU', mean=42.0)],
    differences=[dict(variant='a', metric='mIoU', mean=2.0, low=0.4, high=3.6),
                 dict(variant='b', metric='mIoU', mean=-1.0, excludes_zero=True),
                 dict(variant='b', minus='a', metric='mIoU', mean=-0.0, low=-0.2, high=0.2)])
COLUMNS = '  columns: [{label: mIoU, metric: mIoU}]\n'
SPECS = ('raw:\n  data: raw\n' + COLUMNS + '  rows:\n'
         '    - {label: base, variant: base, show: mean_std}\n'
         '    - {label: seeds, variant: base, show: values}\n'
         '    - {label: one, variant: base, seed: 1}\n'
         '    - {label: better, variant: better, show: difference_interval}\n'
         '    - {label: same, variant: same, show: mean_interval}\n'
         '    - {label: paper, cells: [45]}\n'
         'stated:\n  data: stated\n  digits: 2\n  show: difference_interval\n' + COLUMNS + '  rows:\n'
         '    - {label: a, variant: a}\n    - {label: b, variant: b}\n    - {label: b - a, variant: b, minus: a}\n'
         '    - {label: none, variant: c}\n')
PAGE = 'Text.\n\n<!-- table: raw -->\n<!-- end -->\n\nMore.\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'raw.json').write_text(json.dumps(RAW))
    (tmp_path / 'stated.json').write_text(json.dumps(STATED))
    (tmp_path / 'tables.yml').write_text(SPECS)
    return tmp_path


def test_numbers_are_computed_from_the_seeds(folder):
    low, high = stats.ttest_rel(VALUES['better'], VALUES['base']).confidence_interval(0.95)
    low_same, high_same = stats.ttest_rel(VALUES['same'], VALUES['base']).confidence_interval(0.95)
    assert DocTables(folder).table('raw') == [
        '| | mIoU |', '| --- | ---: |', '| base | 42.0 ± 2.0 |', '| seeds | 40.0, 42.0, 44.0 |', '| one | 42.0 |',
        f'| better | **+10.2 [{low:+.1f}, {high:+.1f}]**† |', f'| same | 42.0 [{low_same:+.1f}, {high_same:+.1f}] |',
        '| paper | 45 |', '',
        '<sub>3 seeds (0, 1, 2); bold: the 95 % interval (paired t) excludes 0; †: also after the correction for the '
        '2 comparisons of the table. Numbers: `raw.json`.</sub>']


def test_missing_seeds_are_counted(folder):
    (folder / 'raw.json').write_text(json.dumps(dict(RAW, runs=[*RAW['runs'][:3], *RAW['runs'][3:5]])))
    lines = DocTables(folder).table('raw')
    assert lines[2] == '| base | 42.0 ± 2.0 |' and '] (2)' in lines[5]
    assert 'in brackets: the number of seeds, where some are missing' in lines[-1]
    (folder / 'raw.json').write_text(json.dumps(dict(RAW, seeds=[0], runs=[RAW['runs'][0], RAW['runs'][3]])))
    lines = DocTables(folder).table('raw')
    assert lines[5] == '| better | +10.0 |' and 'one pair of trainings has no interval. Numbers' in lines[-1]


@pytest.mark.parametrize('seeds, caption', [
    ([0, 1, 2], '3 seeds (0, 1, 2)'), (['0', '1', '2'], '3 seeds (0, 1, 2)'),
    (['first', 'second', 'third'], '3 trainings, seeds not recorded'),
])
def test_seeds_are_stated(folder, seeds, caption):
    runs = [dict(run, seed=seeds[run['seed']]) for run in RAW['runs']]
    (folder / 'raw.json').write_text(json.dumps(dict(RAW, seeds=seeds, runs=runs)))
    (folder / 'tables.yml').write_text(SPECS.replace('seed: 1', f'seed: {seeds[1]!r}'))
    lines = DocTables(folder).table('raw')
    assert lines[4] == '| one | 42.0 |' and lines[-1].startswith(f'<sub>{caption};')


def test_what_a_document_says_is_shown_as_it_is(folder):
    assert DocTables(folder).table('stated') == [
        '| | mIoU |', '| --- | ---: |', '| a | **+2.00 [+0.40, +3.60]** |', '| b | **-1.00** |',
        '| b - a | -0.00 [-0.20, +0.20] |', '| none | |', '',
        '<sub>3 seeds (0, 1, 2); bold: the 95 % interval (paired t) excludes 0; not corrected for the 3 comparisons '
        'of the table, because the p-values were not kept; the values of single seeds were not kept. Numbers: '
        '`stated.json`.</sub>']


def test_the_p_value_of_a_stated_interval(folder):
    difference = Experiment(folder / 'raw.json').difference('better', 'base', 'mIoU')
    stated = dict(STATED, differences=[dict(variant='a', metric='mIoU', mean=difference.mean, low=difference.low,
                                            high=difference.high)])
    (folder / 'stated.json').write_text(json.dumps(stated))
    assert Experiment(folder / 'stated.json').difference('a', 'base', 'mIoU').p == pytest.approx(difference.p)
    assert difference.p == pytest.approx(stats.ttest_rel(VALUES['better'], VALUES['base']).pvalue)


def test_pages_are_written_and_checked(folder):
    page = folder / 'page.md'
    page.write_text(PAGE)
    tables = DocTables(folder)
    assert refresh_pages([folder], tables, write=False) == [page] and page.read_text() == PAGE
    assert refresh_pages([page], tables) == [page]
    text = page.read_text()
    assert '\n| base | 42.0 ± 2.0 |\n' in text and text.startswith('Text.\n') and text.endswith('\n\nMore.\n')
    assert refresh_pages([page], tables, write=False) == []
    page.write_text(text.replace('42.0 ± 2.0', '42.1 ± 2.0'))
    assert refresh_pages([page], tables, write=False) == [page]


@pytest.mark.parametrize('old, new, error, message', [
    ('data: raw', 'data: nothing', DataError, 'nothing.json" does not exist'),
    ('show: values', 'show: median', UsageError, 'show: median, expected one of mean'),
    ('label: one, variant: base', 'label: one', UsageError, 'a cell has no variant'),
    ('label: one, variant: base', "label: one, variant: '{no}'", UsageError, 'refers to an entry'),
    ('raw:\n', 'other:\n', UsageError, 'no table "raw"'),
    (COLUMNS, '  columns: []\n', UsageError, 'needs columns'),
    ('raw:\n', '- raw:\n', DataError, 'tables.yml'),
])
def test_errors_name_the_table(folder, old, new, error, message):
    (folder / 'tables.yml').write_text(SPECS.replace(old, new, 1))
    with pytest.raises(error, match=message):
        DocTables(folder).fill(PAGE, 'page')


def test_damage_is_named(folder):
    with pytest.raises(UsageError, match='"page".*no line "<!-- end -->"'):
        DocTables(folder).fill(PAGE.replace('<!-- end -->', ''), 'page')
    (folder / 'raw.json').write_text(json.dumps(dict(RAW, runs=[dict(variant='a', seed=0)])))
    with pytest.raises(DataError, match='raw.json.*values'):
        DocTables(folder).fill(PAGE, 'page')
    (folder / 'raw.json').write_text(json.dumps(dict(RAW, runs=[])))
    with pytest.raises(DataError, match='neither runs nor means'):
        DocTables(folder).fill(PAGE, 'page')


def test_seeds_of_several_runs_are_kept_together(folder):
    results = folder / 'results.json'
    results.write_text(json.dumps(dict(RAW, summary={}, trainings={})))
    path = store_results(results, folder / '.')
    assert path.name == 'p.json' and Experiment(path).values('better', 'mIoU') == {0: 50.0, 1: 52.5, 2: 54.0}
    more = [dict(variant='better', seed=3, values=dict(mIoU=1.23456789)), dict(variant='better', seed=1, values=dict(
        mIoU=7)), dict(variant='base', seed=3, values={})]
    results.write_text(json.dumps(dict(RAW, seeds=[1, 3], runs=more)))
    store_results(results, folder)
    experiment = Experiment(path)
    assert experiment.values('better', 'mIoU') == {0: 50.0, 1: 7, 2: 54.0, 3: 1.2346}
    assert experiment.seeds == [0, 1, 2, 3] and experiment.values('base', 'mIoU') == {0: 40.0, 1: 42.0, 2: 44.0}
    results.write_text(json.dumps(dict(RAW, baseline='other')))
    with pytest.raises(UsageError, match='another baseline'):
        store_results(results, folder)


def test_runs_replace_what_a_document_says(folder):
    (folder / 'p.json').write_text(json.dumps(STATED))
    (folder / 'results.json').write_text(json.dumps(RAW))
    assert Experiment(store_results(folder / 'results.json', folder)).is_raw


def test_kept_numbers_are_plotted(folder, monkeypatch):
    results = to_results(Experiment(folder / 'raw.json'))
    assert [metric['name'] for metric in results['metrics']] == ['mIoU']  # VC8 has no number
    assert results['summary'] == summarize(RAW['runs'], list(VALUES), ['mIoU'], 'base')
    with pytest.raises(UsageError, match='stated.json" has no metrics'):
        to_results(Experiment(folder / 'stated.json'))
    (folder / 'stated.json').write_text(json.dumps(dict(STATED, metrics=METRICS)))
    stated = to_results(Experiment(folder / 'stated.json'))
    assert stated['summary']['a']['mIoU']['difference'] == dict(mean=2.0, low=0.4, high=3.6, p=pytest.approx(
        p_value_of_interval(2.0, 0.4, 3.6, 3)), n=3)
    assert stated['summary']['b']['mIoU']['mean'] is None
    for name, content in dict(raw=results, stated=stated).items():
        plot_results(content, str(folder / f'{name}.png'))
        height, width, _ = cv2.imread(str(folder / f'{name}.png')).shape
        assert width >= 900 and height >= 200


def test_panels_of_a_picture():
    def metric(name, number, evaluation='clean', minus=None):
        return dict(name=name, number=number, evaluation=evaluation, minus=minus)

    panels = _sort([metric('a', 'vss/mIoU'), metric('b', 'vss/mIoU', 'noise'), metric('c', 'vss/VC8', 'noise'),
                    metric('d', 'objects/fragments'), metric('e', 'vss/mIoU', minus='noise')])
    assert {title: [entry['name'] for entry in entries] for title, entries in panels.items()} == {
        'whole frames': ['a'], 'corrupted frames': ['b'], 'consistency': ['c'], 'other numbers': ['d']}
    assert list(_sort([metric('e', 'vss/mIoU', minus='noise')])) == ['whole frames']


def test_the_documentation_agrees_with_its_numbers():
    """If this fails, run tools/analysis_tools/experiment_tables.py."""
    tables = DocTables(ROOT / 'docs/en/experiments/data')
    pages = [*sorted((ROOT / 'docs/en').rglob('*.md'))]
    assert refresh_pages(pages, tables, write=False) == []
    text = ''.join(page.read_text(encoding='utf-8') for page in pages)
    assert all(f'<!-- table: {name} -->' in text for name in tables.specs), 'a table stands on no page'
    used = {row.get('data', spec.get('data')) for spec in tables.specs.values() for row in spec['rows']}
    kept = {path.stem for path in tables.folder.glob('*.json')}
    assert kept <= used, f'no table shows {kept - used}'
