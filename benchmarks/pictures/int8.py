"""The network for pictures in 8 bits beside itself: `python -m benchmarks.pictures.int8`, needs no data.

Static quantisation by onnxruntime (QDQ, weights per channel), calibrated on generated parts. Both go through the
product's code on generated parts (`parts`); times are of the CPU, one thread.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.pictures import parts
from benchmarks.pictures.looks import Look
from edge_agent.config.sections import SHIPPED_PICTURES
from edge_agent.model import picture
from edge_agent.records import Float32
from simulator.parts import FAULTS, SURFACES, part

_LOOKS = 60


class _Parts(CalibrationDataReader):  # type: ignore[misc]
    """Pictures that the ranges of numbers are taken from; none of them is judged."""

    def __init__(self) -> None:
        self._left = iter(
            [part(one, 9000 + at, fault) for one in SURFACES for at, fault in enumerate(("", *FAULTS))]
        )

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        found = next(self._left, None)
        return None if found is None else {"pixels": found[np.newaxis]}


def main() -> int:
    """Quantise, measure both, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        wide, narrow = _wide(Path(folder)), Path(folder) / "int8.onnx"
        quantize_static(
            wide, narrow, _Parts(), per_channel=True, activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.Percentile,
            op_types_to_quantize=["Conv", "Add", "Clip"],
        )  # fmt: skip
        looks = {"float": _look(wide), "int8": _look(narrow)}
    shown = np.stack([part(surface, 12_345) for surface in SURFACES])
    alike = np.corrcoef(*(look(shown).ravel() for look in looks.values()))[0, 1]
    print(f"Patches of both correlate by {alike:.3f}.\n")
    print("| network | ms a picture | AUROC, all surfaces | woven | mixed | faulty above the threshold |")
    print("|---|---|---|---|---|---|")
    for name, look in looks.items():
        told = parts.measure(look)
        areas = " | ".join(f"{told[surface]['auroc']:.3f}" for surface in ("all", "woven", "mixed"))
        print(f"| {name} | {_ms(look):.1f} | {areas} | {told['all']['faulty above']:.3f} |")
    return 0


def _wide(folder: Path) -> Path:
    """The shipped graph with weights of 32 bits, as the quantiser wants it."""
    model = onnx.load_model_from_string(picture.read(SHIPPED_PICTURES).model)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in tensors:
            weights = numpy_helper.to_array(tensors[node.input[0]]).astype(np.float32)
            tensors[node.input[0]].CopyFrom(numpy_helper.from_array(weights, node.output[0]))
        else:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    onnx.save(model, folder / "wide.onnx")
    quant_pre_process(folder / "wide.onnx", folder / "ready.onnx", skip_symbolic_shape=True)
    return folder / "ready.onnx"


def _look(path: Path) -> Look:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session: Any = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def look(pixels: NDArray[np.uint8]) -> Float32:
        found: Float32 = session.run(["patches"], {"pixels": pixels})[0]
        return found

    return look


def _ms(look: Look) -> float:
    shown, spent = part("mixed", 1)[np.newaxis], []
    for _ in range(_LOOKS):
        began = time.process_time()
        look(shown)
        spent.append(time.process_time() - began)
    return 1e3 * float(np.median(spent))


if __name__ == "__main__":
    sys.exit(main())
