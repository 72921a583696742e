"""What somebody said is good of what a camera showed: its patches join what is usual, and can be taken back. Pure.

They lie in arrays of the camera's memory that older agents read as what was learnt; which of them are whose stands in
arrays that those pass over.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.pipeline.cameras.inspection import Suspect
from edge_agent.pipeline.cameras.learning import DETECTORS, CameraMemory

LIMIT = 50
"""Pictures of one camera: more is no list of exceptions, but a camera to be learnt again."""
_IDS, _NUMBERS = "accepted_ids", "accepted_numbers"


def accepted(memory: CameraMemory) -> tuple[str, ...]:
    """Ids of the pictures that were taken for good, oldest first."""
    return tuple(str(name) for name in memory.arrays.get(_IDS, ()))


def accept(memory: CameraMemory, suspect: Suspect) -> CameraMemory | None:
    """Such a camera with the picture among what is usual; None where there are `LIMIT` already."""
    names, numbers = accepted(memory), _numbers(memory.arrays)
    if len(names) >= LIMIT:
        return None
    number = max(numbers, default=0) + 1
    patches = suspect.patches.astype(np.float32) * memory.arrays["scale"]
    changed = DETECTORS[memory.subject].add(memory.arrays, patches, suspect.cells, number=number)
    return _with(memory, changed, (*names, suspect.id), (*numbers, number))


def take_back(memory: CameraMemory, picture: str) -> CameraMemory | None:
    """Such a camera without the picture; None where it was not taken for good."""
    names, numbers = accepted(memory), _numbers(memory.arrays)
    if picture not in names:
        return None
    at = names.index(picture)
    changed = DETECTORS[memory.subject].remove(memory.arrays, number=numbers[at])
    return _with(memory, changed, names[:at] + names[at + 1 :], numbers[:at] + numbers[at + 1 :])


def _numbers(arrays: Mapping[str, NDArray[Any]]) -> tuple[int, ...]:
    return tuple(int(number) for number in arrays.get(_NUMBERS, ()))


def _with(
    memory: CameraMemory,
    changed: Mapping[str, NDArray[Any]],
    names: tuple[str, ...],
    numbers: tuple[int, ...],
) -> CameraMemory:
    told = {_IDS: np.array(names, np.str_), _NUMBERS: np.array(numbers, np.int32)}
    return replace(memory, arrays={**memory.arrays, **changed, **told})
