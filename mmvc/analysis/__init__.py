# Copyright (c) The mmvc contributors. All rights reserved.
"""Looking into data and models: the logic of ``tools/analysis_tools``."""
