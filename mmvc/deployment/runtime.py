# Copyright (c) The mmvc contributors. All rights reserved.
"""A graph in ONNX Runtime."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mmvc.utils.errors import UsageError

from .packages import require_package

_CUDA = 'CUDAExecutionProvider'


class OnnxGraph:
    """A graph that ONNX Runtime has loaded.

    Args:
        path (Path): File of the graph.
        device (torch.device): CPU, or a CUDA device if this ONNX Runtime can use one.

    Raises:
        UsageError: ONNX Runtime is not installed, cannot read the file or cannot use the device.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        onnxruntime = require_package('onnxruntime', f'running "{path.name}"')
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors; warnings are of its own optimisations
        providers: list = ['CPUExecutionProvider']
        if device.type == 'cuda' and _CUDA in onnxruntime.get_available_providers():
            providers.insert(0, (_CUDA, dict(device_id=device.index or 0)))
        elif device.type != 'cpu':
            raise UsageError(f'this onnxruntime {onnxruntime.__version__} cannot use {device}: install '
                             'onnxruntime-gpu for CUDA, or choose the CPU (--device cpu)')
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # its classes of errors have no common parent
            raise UsageError(f'onnxruntime {onnxruntime.__version__} cannot load "{path}" '
                             f'({" ".join(str(error).split())[:300]}): copy the file again, or export the model again '
                             'with this version') from error
        self.inputs: tuple[str, ...] = tuple(value.name for value in self._session.get_inputs())
        self.shapes: list[list[int | str]] = [value.shape for value in self._session.get_inputs()]
        self.outputs: tuple[str, ...] = tuple(value.name for value in self._session.get_outputs())

    def __call__(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the graph; the values of the inputs are in the order of ``inputs``, those of the outputs likewise."""
        return self._session.run(None, dict(zip(self.inputs, values)))
