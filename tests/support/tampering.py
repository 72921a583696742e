"""Bundles that must be refused: from one good signed bundle, any number of spoilt ones, each from its seed."""

import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_agent.model import bundle, signature
from edge_agent.model.arrays import encode_arrays
from edge_agent.model.bundle import CARD, GOLDEN, MANIFEST, MODEL, Release
from edge_agent.model.signature import SIGNATURE

COUNTER = 1000
FILES = (MANIFEST, MODEL, GOLDEN, CARD, SIGNATURE)
Spoil = Callable[[Path, np.random.Generator], None]


def key(number: int) -> Ed25519PrivateKey:
    """A key of our own; number 1 is the trusted one."""
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def public_key(path: Path, number: int = 1) -> Path:
    path.write_bytes(key(number).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def sign(path: Path, *, number: int = 1, counter: int = COUNTER, **release: Any) -> Path:
    """Vouch for what the directory holds now, whatever that is."""
    contents = {name: (path / name).read_bytes() for name in (MODEL, GOLDEN, CARD)}
    manifest = msgspec.json.decode((path / MANIFEST).read_bytes(), type=bundle.Manifest)
    manifest = msgspec.structs.replace(manifest, release=Release(counter=counter, **release))
    raw = bundle.with_files(manifest, contents)
    (path / MANIFEST).write_bytes(raw)
    (path / SIGNATURE).write_bytes(signature.sign(raw, [key(number)]))
    return path


def resign(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """A changed manifest with a signature by the trusted key: the signer himself was careless or is not himself."""
    content = json.loads((path / MANIFEST).read_bytes())
    change(content)
    raw = json.dumps(content).encode()
    (path / MANIFEST).write_bytes(raw)
    (path / SIGNATURE).write_bytes(signature.sign(raw, [key(1)]))


def flip_a_bit(path: Path, rng: np.random.Generator) -> None:
    file = path / rng.choice(FILES)
    raw = bytearray(file.read_bytes())
    raw[rng.integers(len(raw))] ^= 1 << int(rng.integers(8))
    file.write_bytes(raw)


def cut_or_grow(path: Path, rng: np.random.Generator) -> None:
    file = path / rng.choice(FILES)
    raw = file.read_bytes()
    extra = rng.bytes(int(rng.integers(1, 50)))
    file.write_bytes(raw[: rng.integers(len(raw))] if rng.random() < 0.5 else raw + extra)


def remove_a_file(path: Path, rng: np.random.Generator) -> None:
    (path / rng.choice(FILES)).unlink()


def swap_two_files(path: Path, rng: np.random.Generator) -> None:
    one, other = rng.choice(FILES, 2, replace=False)
    a, b = (path / one).read_bytes(), (path / other).read_bytes()
    (path / one).write_bytes(b)
    (path / other).write_bytes(a)


def take_a_file_of_another_release(path: Path, rng: np.random.Generator) -> None:
    before = {name: (path / name).read_bytes() for name in FILES}
    (path / CARD).write_bytes(b"another " + rng.bytes(4).hex().encode())
    sign(path, counter=COUNTER + 1)
    name = rng.choice([MANIFEST, CARD, SIGNATURE])
    (path / name).write_bytes(before[name])


def put_back_an_older_release(path: Path, rng: np.random.Generator) -> None:
    sign(path, counter=int(rng.integers(1, COUNTER)))


def use_the_counter_twice(path: Path, rng: np.random.Generator) -> None:
    (path / CARD).write_bytes(rng.bytes(8))
    sign(path)


def leave_the_counter_out(path: Path, _rng: np.random.Generator) -> None:
    resign(path, lambda content: content.pop("release"))


def move_the_expiry(path: Path, rng: np.random.Generator) -> None:
    content = json.loads((path / MANIFEST).read_bytes())
    content["release"]["expires"] = f"{int(rng.integers(2030, 2999))}-01-01T00:00:00Z"
    (path / MANIFEST).write_text(json.dumps(content))


def let_it_expire(path: Path, rng: np.random.Generator) -> None:
    expires = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=int(rng.integers(9000)))
    sign(path, counter=COUNTER + 1, expires=expires)


def raise_the_counter(path: Path, rng: np.random.Generator) -> None:
    content = json.loads((path / MANIFEST).read_bytes())
    content["release"]["counter"] += int(rng.integers(1, 10**9))
    (path / MANIFEST).write_text(json.dumps(content))


def sign_with_another_key(path: Path, rng: np.random.Generator) -> None:
    sign(path, number=int(rng.integers(2, 200)), counter=COUNTER + 1)


def forge_the_key_s_name(path: Path, rng: np.random.Generator) -> None:
    sign(path, number=int(rng.integers(2, 200)), counter=COUNTER + 1)
    file = json.loads((path / SIGNATURE).read_bytes())
    file["signatures"][0]["key"] = signature.key_id(key(1).public_key())
    (path / SIGNATURE).write_text(json.dumps(file))


def name_a_path(path: Path, rng: np.random.Generator) -> None:
    name = rng.choice(["../evil", "/etc/passwd", "a/../../b", "..", "./model.onnx", "a\\..\\b", "\x00", ""])
    entry = {"bytes": 1, "sha256": "0" * 64}
    if rng.random() < 0.5:
        resign(path, lambda content: content["files"].update({str(name): entry}))
    else:
        resign(path, lambda content: content["files"].update({str(name): content["files"].pop(MODEL)}))


def put_a_link(path: Path, rng: np.random.Generator) -> None:
    file = path / rng.choice(FILES)
    target = path.parent / f"{path.name}-target"
    shutil.copy(file, target)
    file.unlink()
    file.symlink_to(rng.choice([str(target), "/dev/zero", "/etc/passwd", "nowhere"]))


def put_what_is_no_file(path: Path, rng: np.random.Generator) -> None:
    file = path / rng.choice(FILES)
    file.unlink()
    if rng.random() < 0.5:
        os.mkfifo(file)
    else:
        file.mkdir()


def spoil_the_model(path: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    model = onnx.load_from_string((path / MODEL).read_bytes())
    change(model)
    (path / MODEL).write_bytes(model.SerializeToString())
    sign(path, counter=COUNTER + 1)


def keep_weights_outside(path: Path, rng: np.random.Generator) -> None:
    place = str(rng.choice(["../../etc/passwd", "/etc/passwd", "model.data", "weights"]))

    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]
        if rng.random() < 0.5:
            tensor.ClearField("raw_data")
        if rng.random() < 0.7:
            tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=place)

    spoil_the_model(path, change)


def want_a_custom_operator(path: Path, rng: np.random.Generator) -> None:
    domain = str(rng.choice(["com.microsoft", "evil", "ai.onnx.ml", "ai.onnx.training"]))

    def change(model: onnx.ModelProto) -> None:
        if rng.random() < 0.5:
            model.opset_import.add(domain=domain, version=1)
        else:
            model.graph.node[int(rng.integers(len(model.graph.node)))].domain = domain

    spoil_the_model(path, change)


def hide_a_graph_in_the_graph(path: Path, rng: np.random.Generator) -> None:
    def change(model: onnx.ModelProto) -> None:
        choice = int(rng.integers(3))
        if choice == 0:
            model.functions.add(name="f", domain="")
        elif choice == 1:
            model.training_info.add()
        else:
            graph = onnx.helper.make_graph([], "inner", [], [])
            model.graph.node[0].attribute.append(onnx.helper.make_attribute("body", graph))

    spoil_the_model(path, change)


def claim_a_huge_tensor(path: Path, rng: np.random.Generator) -> None:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]
        tensor.dims.append(int(rng.integers(2, 2**40)))
        if rng.random() < 0.3:
            tensor.ClearField("raw_data")
            tensor.dims.append(2**40)

    spoil_the_model(path, change)


def claim_huge_files(path: Path, rng: np.random.Generator) -> None:
    name = rng.choice([MODEL, GOLDEN, CARD])
    size = int(rng.choice([2**31, 2**40, 2**62, -1, -2, -(2**40)]))
    resign(path, lambda content: content["files"][name].update(bytes=size))


def claim_huge_arrays(path: Path, rng: np.random.Generator) -> None:
    golden = path / GOLDEN
    with np.load(io.BytesIO(golden.read_bytes())) as archive:
        arrays = {name: archive[name] for name in archive.files}
    victim = str(rng.choice(list(arrays)))
    choice = int(rng.integers(4))
    if choice == 0:  # the header promises more than follows
        buffer = io.BytesIO()
        shape = (int(rng.integers(2**20, 2**50)), 2)
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as file:
                    said = {"descr": "<f4", "fortran_order": False, "shape": shape}
                    if name == victim:
                        np.lib.format.write_array_header_1_0(file, said)
                    else:
                        np.lib.format.write_array(file, array)
        golden.write_bytes(buffer.getvalue())
    elif choice == 1:  # a bomb: zeros pack well
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{victim}.npy", b"\0" * (70 * 1024 * 1024))
        golden.write_bytes(buffer.getvalue())
    elif choice == 2:  # the directory promises more than the entry holds
        raw = bytearray(golden.read_bytes())
        at = raw.index(b"PK\x01\x02")
        raw[at + 24 : at + 28] = struct.pack("<I", int(rng.integers(2**26, 2**32 - 2)))
        golden.write_bytes(raw)
    else:  # more windows than one call may hold
        arrays["window"] = np.zeros((5000, 1, 4), np.float32)
        golden.write_bytes(encode_arrays(arrays))
    sign(path, counter=COUNTER + 1)


def write_another_manifest(path: Path, rng: np.random.Generator) -> None:
    raw = {
        0: b"[" * 200_000,
        1: b'{"schema_version": 2}',
        2: b'{"schema_version": 1, "x": ' + b"[" * 100_000,
        3: rng.bytes(200),
        4: b"",
        5: b'{"schema_version": 1e400}',
    }[int(rng.integers(6))]
    (path / MANIFEST).write_bytes(raw)
    (path / SIGNATURE).write_bytes(signature.sign(raw, [key(1)]))


def write_another_signature_file(path: Path, rng: np.random.Generator) -> None:
    raw = {
        0: b"[" * 10_000,
        1: b"x" * 100_000,
        2: b'{"schema_version": 1, "signatures": []}',
        3: rng.bytes(200),
        4: b"",
        5: b'{"schema_version": 9, "signatures": []}',
    }[int(rng.integers(6))]
    (path / SIGNATURE).write_bytes(raw)


WAYS: tuple[Spoil, ...] = (
    flip_a_bit,
    cut_or_grow,
    remove_a_file,
    swap_two_files,
    take_a_file_of_another_release,
    put_back_an_older_release,
    use_the_counter_twice,
    leave_the_counter_out,
    move_the_expiry,
    let_it_expire,
    raise_the_counter,
    sign_with_another_key,
    forge_the_key_s_name,
    name_a_path,
    put_a_link,
    put_what_is_no_file,
    keep_weights_outside,
    want_a_custom_operator,
    hide_a_graph_in_the_graph,
    claim_a_huge_tensor,
    claim_huge_files,
    claim_huge_arrays,
    write_another_manifest,
    write_another_signature_file,
)
