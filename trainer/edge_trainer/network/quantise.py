"""Static int8: weights and activations of the convolutions, where the work is, as bytes; trains nothing.

QDQ form with signed bytes on both sides, weights per output channel, ranges of the activations from simulated
windows. All else stays in float32: the range of the normalisation and of the level is that of the machines, which no
calibration knows, and the products around the bottleneck in bytes put the reconstruction of a far-out window off by a
third.
"""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from edge_trainer.data import synthetic, windows

_SIGNALS, _SIGNAL_ROWS = 512, 512
_BATCH_WINDOWS, _BATCHES = 64, 8
_OPERATORS = ["Conv"]


class _Windows(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Batches of simulated windows, by the names of the graph's inputs."""

    def __init__(self, batches: Iterator[Mapping[str, NDArray[np.float32]]]) -> None:
        self._batches = batches

    def get_next(self) -> Mapping[str, NDArray[np.float32]] | None:
        return next(self._batches, None)


def to_int8(model: bytes, *, window_rows: int, seed: int) -> bytes:
    """The same graph in static int8, inputs and outputs as before.

    Args:
        model: ONNX with inputs window, observed [B, C, T] and location, scale [B, C].
        window_rows: T.
        seed: of the calibration windows.
    """
    logging.getLogger().setLevel(logging.ERROR)  # onnxruntime advises on the root logger
    with tempfile.TemporaryDirectory() as name:
        given, folded, small = (Path(name) / f"{stage}.onnx" for stage in ("given", "folded", "int8"))
        given.write_bytes(model)
        quant_pre_process(given, folded, skip_symbolic_shape=True)
        quantization.quantize_static(
            folded,
            small,
            _Windows(_calibration(window_rows, seed=seed)),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=_OPERATORS,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        return _plain(onnx.load(small))


def _plain(model: onnx.ModelProto) -> bytes:
    """Without the domains of operators that the quantiser might have used and did not: agents let none of them in."""
    used = {node.domain for node in model.graph.node}
    opsets = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    raw: bytes = model.SerializeToString(deterministic=True)
    return raw


def _calibration(window_rows: int, *, seed: int) -> Iterator[Mapping[str, NDArray[np.float32]]]:
    rng = np.random.default_rng([seed, 2])
    rows = synthetic.laid_under(rng, synthetic.windows(rng, count=_SIGNALS, length=_SIGNAL_ROWS))
    sources = [(1.0, windows.signals_of_rows(rows, kind="synthetic"))]
    for _ in range(_BATCHES):
        batch, _ = windows.draw_batch(sources, windows.Draw(window_rows), count=_BATCH_WINDOWS, rng=rng)
        yield {
            "window": batch.window.numpy(),
            "observed": batch.present.numpy(),
            "location": batch.location.numpy(),
            "scale": batch.scale.numpy(),
        }
