# Copyright (c) The mmvc contributors. All rights reserved.
"""Weights of 8 bits."""

import logging
import tempfile
from pathlib import Path

from .packages import require_package

_FLOAT = 1  # onnx.TensorProto.FLOAT: of tensors whose type the graph does not state


def quantize_weights(graph: Path, target: Path) -> None:
    """Quantise the weights of matrix products to 8 bits; inputs are quantised while the graph runs.

    Convolutions stay in float32.

    Args:
        graph (Path): File of the graph.
        target (Path): File to write.

    Raises:
        UsageError: A package is missing.
    """
    quantization = require_package('onnxruntime.quantization', 'int8')
    onnxruntime = require_package('onnxruntime', 'int8')
    onnx = require_package('onnx', 'int8')
    with tempfile.TemporaryDirectory(prefix='mmvc-int8-') as folder:
        # weights that the graph splits and transposes become constants, which alone are quantised
        folded, options = Path(folder, 'folded.onnx'), onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)
        options.log_severity_level = 3  # errors
        onnxruntime.InferenceSession(str(graph), options, providers=['CPUExecutionProvider'])
        model = onnx.load(folded)
        model.graph.ClearField('value_info')  # some shapes in it are those before the folding
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)  # it recommends the step above, which it does not recognise
        try:
            quantization.quantize_dynamic(
                model, str(target), op_types_to_quantize=['MatMul', 'Gemm'], per_channel=True,
                extra_options=dict(DefaultTensorType=_FLOAT))
        finally:
            logging.disable(before)
