"""A real model bundle that is tiny and untrained: patch means as embedding and reconstruction, checked by numpy."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_agent.detect.scorer import Scorer
from edge_agent.model.arrays import encode_arrays
from edge_agent.model.bundle import CARD, GOLDEN, MODEL, Manifest, read, write
from edge_agent.records import Float32
from tests.support.tiny_judge import TinyJudge

ROWS = 64
PATCHES = 8


def bundle(parent: Path, *, rows: int = ROWS, judge: TinyJudge | None = None) -> Path:
    """Write the bundle below `parent`, for windows of so many rows; the same bytes every time."""
    rng = np.random.default_rng(1)
    window = rng.normal(size=(3, 2, rows)).astype(np.float32)
    location = np.zeros((3, 2), np.float32)
    scale = np.full((3, 2), 2.0, np.float32)
    embedding, reconstruction = expected(window, location, scale)
    arrays = {
        "window": window,
        "observed": np.ones_like(window),
        "location": location,
        "scale": scale,
        "embedding": embedding,
        "reconstruction": reconstruction,
    }
    manifest = Manifest(
        schema_version=1,
        name="tiny",
        version="0",
        created=datetime(2024, 1, 1, tzinfo=UTC).isoformat(),
        architecture="conv",
        window_rows=rows,
        embedding_dim=PATCHES,
        files={},
        judge=msgspec.UNSET if judge is None else judge.entry(),
    )
    contents = {MODEL: _graph(rows), GOLDEN: encode_arrays(arrays), CARD: b"# tiny\n"}
    return write(parent, manifest, contents if judge is None else contents | judge.contents())


def expected(window: Float32, location: Float32, scale: Float32) -> tuple[Float32, Float32]:
    """What the graph answers, in numpy."""
    z = (window - location[..., None]) / scale[..., None]
    means = z.reshape(*z.shape[:2], PATCHES, -1).mean(axis=3)
    smooth = np.repeat(means, z.shape[2] // PATCHES, axis=2)
    return means, (smooth * scale[..., None] + location[..., None]).astype(np.float32)


def _graph(rows: int) -> bytes:
    def constant(name: str, values: list[int]) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, np.int64), name)

    def port(name: str, *shape: int | str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    nodes = [
        helper.make_node("Unsqueeze", ["location", "last"], ["location_3d"]),
        helper.make_node("Unsqueeze", ["scale", "last"], ["scale_3d"]),
        helper.make_node("Mul", ["window", "observed"], ["seen"]),
        helper.make_node("Sub", ["seen", "location_3d"], ["centred"]),
        helper.make_node("Div", ["centred", "scale_3d"], ["z"]),
        helper.make_node("Reshape", ["z", "patched"], ["patches"]),
        helper.make_node("ReduceMean", ["patches", "axis"], ["embedding"], keepdims=0),
        helper.make_node("Unsqueeze", ["embedding", "axis"], ["means_4d"]),
        helper.make_node("Tile", ["means_4d", "repeats"], ["tiled"]),
        helper.make_node("Reshape", ["tiled", "flat"], ["smooth"]),
        helper.make_node("Mul", ["smooth", "scale_3d"], ["scaled"]),
        helper.make_node("Add", ["scaled", "location_3d"], ["reconstruction"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            port("window", "B", "C", rows),
            port("observed", "B", "C", rows),
            port("location", "B", "C"),
            port("scale", "B", "C"),
        ],
        [port("embedding", "B", "C", PATCHES), port("reconstruction", "B", "C", rows)],
        [
            constant("last", [2]),
            constant("axis", [3]),
            constant("patched", [0, 0, PATCHES, rows // PATCHES]),
            constant("repeats", [1, 1, 1, rows // PATCHES]),
            constant("flat", [0, 0, rows]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    raw: bytes = model.SerializeToString(deterministic=True)
    return raw


def scorer(path: Path) -> Scorer:
    """The bundle at `path`, running."""
    return Scorer.load(read(path), provider="cpu")
