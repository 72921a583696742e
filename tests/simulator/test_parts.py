"""Pictures of parts: the same for the same number, faulty ones like the good one but for their fault."""

import io
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from simulator.parts import FAULTS, SURFACES, conveyor, part, png


@pytest.mark.parametrize("surface", SURFACES)
def test_a_part_is_the_same_for_the_same_number_and_another_for_another(surface: str) -> None:
    one = part(surface, 1)
    assert (one.shape, one.dtype) == ((256, 256, 3), np.uint8)
    assert (one == part(surface, 1)).all()
    assert (one != part(surface, 2)).mean() > 0.5


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_changes_a_small_place_by_more_than_noise(fault: str) -> None:
    changes = []
    for number in range(6):
        good, bad = (part("plate", number, which).astype(float).mean(axis=2) for which in ("", fault))
        changed = np.abs(bad - good) > 18
        changes.append((changed.mean(), np.abs(bad - good).max()))
    shares, most = np.array(changes).T
    assert (most > 25).all()
    assert (shares < 0.1).all()
    assert shares.mean() > 0.0005


def test_a_file_holds_what_it_was_made_of() -> None:
    pixels = part("woven", 3, "crack")
    assert (np.asarray(Image.open(io.BytesIO(png(pixels)))) == pixels).all()


def test_a_conveyor_begins_with_good_parts_and_has_a_spell_of_one_fault_now_and_then() -> None:
    passed = list(islice(conveyor("plate", good=10, every=20, spell=6), 50))
    faults = [fault for _, fault, _ in passed]
    assert set(faults[:10]) == {""}
    for spell, fault in enumerate(FAULTS[:2]):
        inside = faults[10 + 20 * spell + 14 : 30 + 20 * spell]
        assert set(inside) <= {"", fault}
        assert inside.count(fault) >= 3
    assert len({name for name, _, _ in passed}) == 50
    again = next(islice(conveyor("plate", good=10, every=20, spell=6), 7, None))
    assert again == passed[7]
