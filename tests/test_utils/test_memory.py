# Copyright (c) The mmvc contributors. All rights reserved.
import platform
import subprocess
import sys

import pytest

from mmvc.utils import memory

PROGRAM = """
import resource, sys
import numpy as np
{setting}
for _ in range(50):
    np.ones(1 << 20, np.uint8)  # below the largest threshold, above the default one
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.ones(1 << 23, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(setting: str) -> int:
    environment = {'MALLOC_MMAP_THRESHOLD_': '131072'} if not setting else {}
    done = subprocess.run([sys.executable, '-c', PROGRAM.format(setting=setting)], capture_output=True, text=True,
                          check=True, env={'PATH': '', **environment})
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='the setting is one of glibc')
def test_freed_memory_is_reused():
    kept = page_faults(f'import runpy; assert runpy.run_path({memory.__file__!r})["keep_freed_memory"]()')
    assert kept < page_faults('') / 5


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(memory.sys, 'platform', 'darwin')
    assert not memory.keep_freed_memory()
