# Copyright (c) The mmvc contributors. All rights reserved.
"""Packaging. An installation also contains the files that OpenMMLab's `mim` expects in `mmvc/.mim`."""

import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
#: the files that `mim train mmvc ...`, `mim test` and `mim search` read
MIM_NAMES = ('configs', 'tools', 'demo', 'model-index.yml')


class BuildWithMim(build_py):
    """Add ``mmvc/.mim``: copies in a built package, links in an editable installation."""

    def run(self) -> None:
        super().run()
        target = (ROOT if self.editable_mode else Path(self.build_lib).absolute()) / 'mmvc' / '.mim'
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in MIM_NAMES:
            if not (ROOT / name).exists():
                continue  # a source archive may lack the demo
            if self.editable_mode:
                (target / name).symlink_to(os.path.relpath(ROOT / name, target))
            elif (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns('__pycache__', '*.pyc'))
            else:
                shutil.copy(ROOT / name, target / name)


def requirements(name: str) -> list[str]:
    """Return the requirements in ``requirements/<name>.txt``, without comments and references to other files."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    lines = [line.split('#')[0].strip() for line in lines]
    return [line for line in lines if line and not line.startswith('-')]


def version() -> str:
    """Return the version in ``mmvc/version.py`` without importing the package."""
    text = (ROOT / 'mmvc' / 'version.py').read_text(encoding='utf-8')
    return re.findall(r"^__version__ = '([^']+)'", text, re.MULTILINE)[0]


readme = ROOT / 'README.md'
setup(
    name='mmvc',
    version=version(),
    description='Video semantic, panoptic and instance segmentation: DVIS++ and masked video consistency',
    long_description=readme.read_text(encoding='utf-8') if readme.exists() else '',
    long_description_content_type='text/markdown',
    author='The mmvc contributors',
    license='Apache-2.0',
    keywords='computer vision, video segmentation, OpenMMLab',
    packages=find_packages(include=['mmvc', 'mmvc.*']),
    # With a root named here, an editable installation puts this folder on the path. Otherwise, a script in the folder
    # that contains the clone would import the clone itself, as an empty namespace package.
    package_dir={'': '.'},
    entry_points={'console_scripts': ['mmvc = mmvc.commands.dispatch:main']},
    package_data={'mmvc': ['py.typed']},  # lets users check types against this package
    python_requires='>=3.10',
    install_requires=requirements('runtime'),
    extras_require={
        'onedl': ['torch>=2.1'] + requirements('mminstall') + requirements('opencv'),
        'classic': ['torch>=2.1'] + requirements('mminstall-classic') + requirements('opencv'),
        'tests': requirements('tests'),
        'optional': requirements('optional'),
        'docs': requirements('docs'),
        'page': requirements('page'),
        'efficientnet': requirements('efficientnet'),
        'deployment': requirements('deployment'),
    },
    cmdclass={'build_py': BuildWithMim},
    zip_safe=False,
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ])
