# Copyright (c) The mmvc contributors. All rights reserved.
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / 'test_models'))  # the tiny models, when these tests run alone
