"""What one process reads of a folder of recordings: started by a test, under torchrun or alone.

Arguments: the folder, the bound in bytes, the steps, a file for what was seen (the process's number comes before its
name).
"""

import json
import sys
from pathlib import Path

from edge_trainer import config
from edge_trainer.config import Config
from edge_trainer.data import pieces, shuffle_buffer, windows
from edge_trainer.data.shuffle_buffer import Plan, Stream
from edge_trainer.training import parallel


def settings(folder: Path, *, buffer_bytes: int = 256_000_000, **more: object) -> Config:
    given = {
        "run.data": folder,
        "pretrain.recordings": ["."],
        "pretrain.window_rows": 32,
        "pretrain.buffer_bytes": buffer_bytes,
    }
    return config.load(None, list((given | more).items()))


def streamed(plan: Plan, *, readers: int = 0) -> Stream:
    return Stream(plan, seed=0, rank=parallel.rank(), steps_a_slice=1, readers=readers)


def resident_bytes(line: str) -> int:
    """`VmRSS` or, the most so far, `VmHWM`."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.partition(f"{line}:")[2].split()[0])


def main(folder: Path, buffer_bytes: int, steps: int, out: Path) -> None:
    given = settings(folder, buffer_bytes=buffer_bytes)
    first = windows.find_all(folder, ["."])[0]
    with parallel.together():
        # Then pyarrow is loaded and has its heap.
        for part in pieces.shards.batches(first, ["c0", "c1", "c2", "c3"], batch_rows=1000):
            del part
        before = resident_bytes("VmRSS")
        plan = shuffle_buffer.plan(given, held_out_share=0.1)
        held_out = pieces.signals(plan.held_out)
        there = streamed(plan)
        values = 0
        for step in range(steps):
            values += len(there.signals_at(step)[-1].values)
        seen = {
            "own": [repr(piece) for piece in plan.own],
            "held_out": [repr(piece) for piece in plan.held_out],
            "held_out_values": len(held_out.values),
            "values": values,
            "grown_bytes": resident_bytes("VmHWM") - before,
        }
        (out.parent / f"{parallel.rank()}-{out.name}").write_text(json.dumps(seen), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
