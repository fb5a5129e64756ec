# Copyright (c) The mmvc contributors. All rights reserved.
"""The report of all checks, for people (Markdown) and for programs (JSON)."""

import json
from collections.abc import Sequence
from pathlib import Path

from .recorder import Result, Settings, read_result
from .table import Check


def write_report(folder: Path, checks: Sequence[Check], settings: Settings, facts: dict[str, str]) -> None:
    """Write ``report.md`` and ``report.json``.

    Args:
        folder (Path): Folder of the run, with the results of the checks.
        checks (Sequence[Check]): The checks of this run; those without a result are listed as not run.
        settings (Settings): Device and size.
        facts (dict[str, str]): Date, commit, command.
    """
    results = {check.name: read_result(folder / 'checks' / f'{check.name}.jsonl') for check in checks}
    environment = results.get('environment')
    for row in environment.rows if environment else ():
        facts = {**facts, **row}
    content = dict(
        settings=settings._asdict(), facts=facts,
        checks=[dict(name=check.name, title=check.title, **_as_dict(results[check.name])) for check in checks])
    (folder / 'report.json').write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
    (folder / 'report.md').write_text(_markdown(checks, results, settings, facts), encoding='utf-8')


def _as_dict(result: Result | None) -> dict:
    return dict(status='not run') if result is None else result._asdict()


def _markdown(checks: Sequence[Check], results: dict[str, Result | None], settings: Settings,
              facts: dict[str, str]) -> str:
    lines = [f'# GPU check: {settings.device}, {settings.size} size', '']
    lines += table([{'': name, ' ': value} for name, value in facts.items()])
    lines += ['', '## Checks', '']
    lines += table([_summary(check, results[check.name]) for check in checks])
    for check in checks:
        result = results[check.name]
        if result is None or check.name == 'environment' and not result.failures:
            continue
        lines += ['', f'## {check.title}', '']
        lines += [f'- **failed:** {text}' for text in result.failures]
        lines += [f'- skipped: {text}' for text in result.skips]
        lines += [f'- {text}' for text in result.notes]
        if result.rows:
            lines += [*([''] if lines[-1] else []), *table(result.rows)]
    return '\n'.join(lines) + '\n'


def _summary(check: Check, result: Result | None) -> dict:
    if result is None:
        return dict(check=check.name, result='not run', s='', why='')
    reasons = result.failures or result.skips
    return dict(check=check.name, result=result.status or 'not finished', s=f'{result.seconds:.0f}',
                why='; '.join(reasons))


def table(rows: Sequence[dict]) -> list[str]:
    """Lines of a Markdown table. Its columns are the keys of all rows, in the order in which they appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ['| ' + ' | '.join(columns) + ' |', '|' + ' --- |' * len(columns)]
    for row in rows:
        lines.append('| ' + ' | '.join(_cell(row.get(column, '')) for column in columns) + ' |')
    return lines


def _cell(value: object) -> str:
    return str(value).replace('|', r'\|').replace('\n', ' ')
