# Copyright (c) The mmvc contributors. All rights reserved.
"""What a runner gets from the config of every stage, against what it got from a file of its own for each stage.

``resolved_configs.json`` holds a fingerprint for each of those 135 files. Three differences are meant: the loop of a
training is named by its class ``ResumableTrainLoop`` (it was registered as ``IterBasedTrainLoop``, too); the generated
videos in the format of VSPW name no thing classes, which nothing of that task reads; and files that only listed stages
are gone. Configs that inherit from MMDetection change with its version, so they are left out. Whoever changes a config
on purpose replaces its fingerprint by the one that the test prints.
"""

import hashlib
import json
from pathlib import Path

import pytest
from mmengine.config import Config

from mmvc.engine import resolve_stage
from tests.helpers.config_files import CONFIG_DIR, RUNNER_KEYS

FINGERPRINTS = json.loads(Path(__file__).with_name('resolved_configs.json').read_text())


def fingerprint(cfg: dict) -> str:
    """12 digits that change with whatever a runner reads of a config."""
    entries = {key: cfg[key] for key in RUNNER_KEYS if key in cfg}
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()[:12]


@pytest.mark.parametrize('file', FINGERPRINTS)
def test_every_stage_is_as_it_was(file):
    cfg = Config.fromfile(str(CONFIG_DIR / f'{file}.py'), import_custom_modules=False)
    found = {stage: fingerprint(resolve_stage(cfg, stage if stage != 'whole' else None).to_dict())
             for stage in FINGERPRINTS[file]}
    assert found == FINGERPRINTS[file]
