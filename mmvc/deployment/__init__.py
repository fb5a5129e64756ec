# Copyright (c) The mmvc contributors. All rights reserved.
"""Models as graphs: their export, and their use without PyTorch's model code."""
