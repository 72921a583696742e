"""What was learnt of cameras, and the pictures that others are still to be learnt from, as files below `cameras/`.

A folder that agents which know of none do not look into. Losing a file costs no more than learning that camera anew.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import BundleError, StateError
from edge_agent.model.arrays import decode_arrays, encode_arrays
from edge_agent.pipeline.cameras.camera import SUSPECTS_KEPT, Gathered
from edge_agent.pipeline.cameras.inspection import Suspect
from edge_agent.pipeline.cameras.kinds import Kinds, NamedPicture
from edge_agent.pipeline.cameras.learning import CameraMemory
from edge_agent.store import atomic_file

_ABOUT, _LIMIT_BYTES = "about", 64 * 1024 * 1024
_OF_SUSPECT = ("id", "number", "time_ns", "part", "score", "alarm", "kind", "probability", "good")
_PARTS = ("machine", "camera", "network", "subject", "grid", "pictures", "aspect", "threshold", "learnt_ns")


class CameraFiles:
    """Of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "cameras"

    def save(self, memory: CameraMemory) -> None:
        """Keep what was learnt; what was gathered for it goes.

        Raises:
            StateError: the file cannot be written.
        """
        about = json.dumps({part: getattr(memory, part) for part in _PARTS})
        raw = encode_arrays({**memory.arrays, _ABOUT: np.array(about)})
        atomic_file.write(self._folder / _file(memory.machine, memory.camera), raw)
        shutil.rmtree(self._gathering(memory.machine, memory.camera), ignore_errors=True)

    def load(self, *, network: str) -> Iterator[CameraMemory]:
        """All that can be read and are of this network."""
        for path in sorted(self._folder.glob("*.npz")):
            try:
                arrays = decode_arrays(path, path.read_bytes(), limit_bytes=_LIMIT_BYTES)
                about = json.loads(str(arrays.pop(_ABOUT)))
                memory = CameraMemory(**about, arrays=arrays)
            except (BundleError, OSError, ValueError, KeyError, TypeError):
                continue
            if memory.network == network:
                yield memory

    def keep(self, machine: str, camera: str, gathered: Gathered, *, network: str) -> None:
        """Keep a picture's patches to learn from.

        Raises:
            StateError: the file cannot be written.
        """
        arrays: dict[str, NDArray[Any]] = {
            "patches": gathered.patches,
            "gauges": gathered.gauges,
            "still": np.frombuffer(gathered.still, np.uint8),
            _ABOUT: np.array(json.dumps([machine, camera, network])),
        }
        atomic_file.write(self._gathering(machine, camera) / f"{gathered.time_ns}.npz", encode_arrays(arrays))

    def gathered(self, *, network: str) -> dict[tuple[str, str], list[Gathered]]:
        """What was kept to learn from, by machine and camera."""
        found: dict[tuple[str, str], list[Gathered]] = {}
        for path in sorted(self._folder.glob("*.gathered/*.npz")):
            try:
                arrays = decode_arrays(path, path.read_bytes(), limit_bytes=_LIMIT_BYTES)
                machine, camera, made_with = json.loads(str(arrays[_ABOUT]))
                one = Gathered(int(path.stem), arrays["patches"], arrays["gauges"], arrays["still"].tobytes())
            except (BundleError, OSError, ValueError, KeyError, TypeError):
                continue
            if made_with == network:
                found.setdefault((machine, camera), []).append(one)
        return found

    def keep_suspect(self, machine: str, camera: str, suspect: Suspect, *, network: str) -> None:
        """Keep an unusual picture; files of those that are not among `SUSPECTS_KEPT` any more go.

        Raises:
            StateError: the file cannot be written.
        """
        told = {part: getattr(suspect, part) for part in _OF_SUSPECT}
        arrays: dict[str, NDArray[Any]] = {
            "patches": suspect.patches,
            "cells": suspect.cells,
            "jpeg": np.frombuffer(suspect.jpeg, np.uint8),
            "map": np.frombuffer(suspect.map, np.uint8),
            _ABOUT: np.array(json.dumps([machine, camera, network, told])),
        }
        folder = self._folder / Path(_file(machine, camera)).with_suffix(".suspects")
        atomic_file.write(folder / f"{suspect.time_ns}.npz", encode_arrays(arrays))
        for path in sorted(folder.glob("*.npz"), key=lambda each: int(each.stem))[:-SUSPECTS_KEPT]:
            with contextlib.suppress(OSError):
                path.unlink()

    def suspects(self, *, network: str) -> dict[tuple[str, str], list[Suspect]]:
        """The unusual pictures that were kept, by machine and camera."""
        found: dict[tuple[str, str], list[Suspect]] = {}
        for path in sorted(self._folder.glob("*.suspects/*.npz")):
            try:
                arrays = decode_arrays(path, path.read_bytes(), limit_bytes=_LIMIT_BYTES)
                machine, camera, made_with, told = json.loads(str(arrays[_ABOUT]))
                one = Suspect(
                    **told,
                    patches=arrays["patches"],
                    cells=arrays["cells"],
                    jpeg=arrays["jpeg"].tobytes(),
                    map=arrays["map"].tobytes(),
                )
            except (BundleError, OSError, ValueError, KeyError, TypeError):
                continue
            if made_with == network:
                found.setdefault((machine, camera), []).append(one)
        return found

    def save_kinds(self, machine: str, camera: str, kinds: Kinds, *, network: str) -> None:
        """Keep what people called a camera's pictures.

        Raises:
            StateError: the file cannot be written.
        """
        cases = kinds.cases
        arrays: dict[str, NDArray[Any]] = {
            "looks": np.array([case.look for case in cases], np.float32),
            _ABOUT: np.array(json.dumps([machine, camera, network, [(one.id, one.name) for one in cases]])),
        }
        path = self._folder / Path(_file(machine, camera)).with_suffix(".kinds")
        atomic_file.write(path, encode_arrays(arrays))

    def kinds(self, *, network: str) -> dict[tuple[str, str], Kinds]:
        """What people called pictures, by machine and camera."""
        found = {}
        for path in sorted(self._folder.glob("*.kinds")):
            try:
                arrays = decode_arrays(path, path.read_bytes(), limit_bytes=_LIMIT_BYTES)
                machine, camera, made_with, named = json.loads(str(arrays[_ABOUT]))
                cases = tuple(
                    NamedPicture(str(one), str(name), look)
                    for (one, name), look in zip(named, arrays["looks"], strict=True)
                )
            except (BundleError, OSError, ValueError, KeyError, TypeError):
                continue
            if made_with == network:
                found[machine, camera] = Kinds(cases)
        return found

    def drop(self, machine: str, camera: str) -> None:
        """Know nothing of a camera any more.

        Raises:
            StateError: a file cannot be deleted.
        """
        path = self._folder / _file(machine, camera)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StateError(path, error.strerror or "cannot be deleted") from error
        shutil.rmtree(self._gathering(machine, camera), ignore_errors=True)
        shutil.rmtree(path.with_suffix(".suspects"), ignore_errors=True)
        with contextlib.suppress(OSError):
            path.with_suffix(".kinds").unlink(missing_ok=True)

    def _gathering(self, machine: str, camera: str) -> Path:
        return self._folder / _file(machine, camera).replace(".npz", ".gathered")


def _file(machine: str, camera: str) -> str:
    return atomic_file.name_of(f"{machine}/{camera}")
