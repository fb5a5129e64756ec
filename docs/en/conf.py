# Copyright (c) The mmvc contributors. All rights reserved.
"""Settings of the documentation; `make docs` builds it."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

project = 'mmvc'
author = 'The mmvc contributors'
copyright = author  # noqa: A001  Sphinx's name
release = re.search(r"__version__ = '([^']+)'", (ROOT / 'mmvc' / 'version.py').read_text())[1]

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
]
myst_enable_extensions = ['colon_fence', 'dollarmath']
myst_heading_anchors = 3
source_suffix = {'.md': 'markdown', '.rst': 'restructuredtext'}
exclude_patterns = ['_build']

html_theme = 'furo'
html_title = f'mmvc {release}'

autodoc_member_order = 'bysource'
autodoc_typehints = 'none'  # the docstrings name the types
autodoc_default_options = {'members': True, 'show-inheritance': True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes of named tuples are members already
suppress_warnings = ['config.cache']
