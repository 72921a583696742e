"""What came of a case, in a form that can be kept, digested and compared. Knows nothing of the agent.

The one place where what must differ is made equal: the program's version, and metrics that tell of this computer or of
how long something took. Ids and times of alarms are none of that: they follow from the messages.
"""

import difflib
import hashlib
import itertools
import json
import lzma
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.golden.stage import Told

Arrays = dict[str, NDArray[Any]]

_VERSION = re.compile(r'("?version"?[:=])"[^"]*"')
_OF_THIS_COMPUTER = re.compile(
    r"#|process_|python_|edge_agent_state_(free_)?bytes |edge_agent_history_|.*_created |\w+_seconds_(sum|bucket)"
)
_GONE = re.compile(r"edge_agent_settl")
"""Series of what was taken out on purpose, see the changelog; left out of what dc23620 told, too."""
_WAITING = "room/history/"
"""What closed and waits for the history's thread: whether it is still there is a matter of moments."""
_SHOWN, _WIDE = 20, 160
RELATIVE, ABSOLUTE = 1e-4, 1e-4
"""How far scores may lie apart where the processor or a library is another one; 1 is the threshold. Another kernel of
OpenBLAS and other instructions of numpy made 2e-5."""


@dataclass(slots=True)
class Outcome:
    """What came of a case.

    Attributes:
        scores: arrays by name.
        told: one JSON document a line, in order, the agent's own text.
        metrics: `name value` lines.
        facts: whatever else can be named.
    """

    scores: Arrays = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def digests(self) -> dict[str, str]:
        """SHA-256 of each part, bit for bit."""
        texts = {"told": self.told, "metrics": self.metrics, "facts": [_text(self.facts)]}
        found = {name: hashlib.sha256("\n".join(lines).encode()).hexdigest() for name, lines in texts.items()}
        return {"scores": _hashed(self.scores), **found}

    def save(self, folder: Path, name: str) -> None:
        """As files: `<name>.npz`, and `<name>.jsonl.xz` of what was told, metrics and facts last."""
        np.savez_compressed(folder / f"{name}.npz", **self.scores)
        rest = _text({"metrics": self.metrics, "facts": self.facts})
        lines = "\n".join([*self.told, rest]) + "\n"
        (folder / f"{name}.jsonl.xz").write_bytes(lzma.compress(lines.encode(), preset=9))

    @classmethod
    def load(cls, folder: Path, name: str) -> "Outcome":
        with np.load(folder / f"{name}.npz") as file:
            scores = {key: file[key] for key in file.files}
        lines = lzma.decompress((folder / f"{name}.jsonl.xz").read_bytes()).decode()
        *told, rest = lines.removesuffix("\n").split("\n")
        return cls(scores=scores, told=told, **json.loads(rest))


class Scores:
    """Gathers the scores of each machine."""

    def __init__(self) -> None:
        self._found: dict[str, list[Mapping[str, NDArray[Any]]]] = {}

    def note(self, machine: str, **columns: NDArray[Any]) -> None:
        """Some windows of a machine: arrays whose first axis counts the windows."""
        self._found.setdefault(machine, []).append({name: np.array(value) for name, value in columns.items()})

    def arrays(self) -> Arrays:
        """`machine/column`, all windows."""
        return {
            f"{machine}/{name}": np.concatenate([block[name] for block in blocks])
            for machine, blocks in self._found.items()
            for name in blocks[0]
        }


def told_lines(told: Iterable[Told]) -> list[str]:
    """Messages as JSON, each with its payload as it was written."""
    return [
        f'{{"topic":{json.dumps(one.topic)},"retain":{json.dumps(one.retain)},"payload":{_payload(one.payload)}}}'
        for one in told
    ]


def _payload(raw: bytes) -> str:
    try:
        json.loads(raw)
    except ValueError:
        return json.dumps(raw.hex())
    return _unversioned(raw.decode())


def _unversioned(text: str) -> str:
    return _VERSION.sub(r'\1"*"', text)


def metric_lines(page: str, *, when: str) -> list[str]:
    """The metrics page without what tells of this computer."""
    lines = [
        line
        for line in page.splitlines()
        if line and not (_OF_THIS_COMPUTER.match(line) or _GONE.match(line))
    ]
    return [f"{when}: {_unversioned(line)}" for line in sorted(lines)]


def written(state: Path) -> dict[str, Any]:
    """What an agent has left in its state directory: digests of what it learnt, and the names in its database."""
    database = sqlite3.connect(state / "state.db")
    try:
        names = [name for (name,) in database.execute("SELECT name FROM state ORDER BY name")]
        names = [name for name in names if not name.startswith(_WAITING)]
        kept = [name for (name,) in database.execute("SELECT name FROM kept ORDER BY name")]
    finally:
        database.close()
    files = {str(path.relative_to(state)): _digest(path) for path in sorted(state.rglob("*.npz"))}
    return {"files": files, "state": names, "kept": kept}


def _digest(path: Path) -> str:
    """Of the arrays in a file by their names; in which order they lie does not count."""
    with np.load(path) as file:
        return _hashed({name: file[name] for name in file.files})


def _hashed(arrays: Arrays) -> str:
    found = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {value.dtype.str} {value.shape}\n".encode())
        found.update(value.tobytes())
    return found.hexdigest()


def differences(found: Outcome, expected: Outcome) -> list[str]:
    """Where two outcomes are not the same bit for bit, for people; empty where they are."""
    said = [f"scores: {line}" for line in _array_differences(found.scores, expected.scores)]
    for part, one, other in (
        ("told", found.told, expected.told),
        ("metrics", found.metrics, expected.metrics),
        ("facts", [_text(found.facts)], [_text(expected.facts)]),
    ):
        lines = [*_line_differences(one, other)] if one != other else []
        said += [f"{part}: {line}" for line in lines[:_SHOWN]]
        said += [f"{part}: and {len(lines) - _SHOWN} differences more"] * (len(lines) > _SHOWN)
    return said


def _line_differences(found: Sequence[str], expected: Sequence[str]) -> Iterator[str]:
    """Lines that came, went or changed; of changed ones the surroundings of their first difference."""
    steps = difflib.SequenceMatcher(None, expected, found, autojunk=False).get_opcodes()
    for kind, first, last, begin, end in steps:
        if kind == "replace" and last - first == end - begin:
            for at in range(last - first):
                old, new = expected[first + at], found[begin + at]
                alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))
                place = max(0, len([*alike]) - 40)
                yield f"line {begin + at + 1}: {new[place : place + _WIDE]} for {old[place : place + _WIDE]}"
        elif kind != "equal":
            yield from (f"not expected: {line[:_WIDE]}" for line in found[begin:end])
            yield from (f"missing: {line[:_WIDE]}" for line in expected[first:last])


def _array_differences(found: Arrays, expected: Arrays) -> Iterable[str]:
    for name in sorted(found.keys() ^ expected.keys()):
        yield f"{name} is {'not expected' if name in found else 'missing'}"
    for name in sorted(found.keys() & expected.keys()):
        one, other = found[name], expected[name]
        if (one.dtype, one.shape) != (other.dtype, other.shape):
            yield f"{name} is {one.dtype} {one.shape}, {other.dtype} {other.shape} was expected"
        elif one.tobytes() != other.tobytes():
            unlike = ~((one == other) | ((one != one) & (other != other)))  # noqa: PLR0124 - NaN is not itself
            first = int(np.argmax(unlike.reshape(len(one), -1).any(axis=1)))
            yield f"{name} differs in {unlike.sum()} of {one.size}, first at {first}: {one[first]} for {other[first]}"


def far_apart(found: Outcome, expected: Outcome) -> list[str]:
    """Where two outcomes differ by more than another processor or library explains.

    Scores may lie a little apart, and so may the figures and the number of an alarm's revisions; when alarms open and
    close, on whom, how grave they are and what they are called may not, and neither may counts of messages.
    """
    said = []
    for name in sorted(found.scores.keys() | expected.scores.keys()):
        one, other = found.scores.get(name), expected.scores.get(name)
        if one is None or other is None or one.shape != other.shape:
            said.append(f"scores: {name} is not what was expected")
        elif not np.allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True):
            said.append(
                f"scores: {name} lies up to {np.nanmax(np.abs(np.subtract(one, other, dtype=float)))} away"
            )
    for part, read in (("alarms", _turns), ("counts", _counts)):
        one, other = read(found), read(expected)
        if one != other:
            said.append(f"{part}:\n  {one}\nexpected\n  {other}")
    return said


def _turns(outcome: Outcome) -> list[tuple[Any, ...]]:
    """What happened to alarms, without figures; refreshed figures are no event."""
    found = []
    for line in outcome.told:
        alert = json.loads(line)
        alert = alert.get("payload", alert)
        event = alert.get("lifecycle", {}).get("event", alert["state"]) if "onset" in alert else "updated"
        if event != "updated":
            told = (alert[key] for key in ("machine", "kind", "state", "onset", "closed"))
            found.append((*told, alert["severity"], alert["fault"]["name"], event))
    return found


def _counts(outcome: Outcome) -> dict[str, float]:
    """What became of messages, windows, commands and machines."""
    counted = "messages|rejects|values_rejected|windows|commands|machines|alarms_opened"
    lines = [line for line in outcome.metrics if re.search(f"edge_agent_({counted})", line)]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def run_lengths(names: Sequence[str]) -> list[tuple[int, str]]:
    """(first row, name) of each stretch of one name."""
    return [(at, name) for at, name in enumerate(names) if not at or names[at - 1] != name]


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
