"""The agent's stages alone, in this process, on the stream that the whole agent gets: what each of them costs.

No broker and no agent: decoding, windows and scores through the pipeline, the journal's bytes, SQLite with the
transactions of these very turns, ONNX Runtime with the batches of these very turns, and a copy of the payloads.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import InferenceSession, SessionOptions

from edge_agent.config.file import Config
from edge_agent.mqtt.duplicates import UsedMarks, digest
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.records import Delivery, Profile
from edge_agent.service.wiring import load_scorer, message_decoder, pipeline_settings
from edge_agent.store.database import Database
from edge_agent.store.journal import Changes, Journal


class Spent:
    """Processor seconds by stage."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = {}

    def of(self, stage: str, work: Callable[[], Any]) -> Any:
        """The work's answer, its time booked."""
        started = time.process_time()
        answer = work()
        self.cpu_s[stage] = self.cpu_s.get(stage, 0.0) + time.process_time() - started
        return answer


def stages(
    deliveries: list[Delivery], profiles: list[Profile], *, turn_messages: int, warm: int, folder: Path
) -> dict[str, Any]:
    """Processor time of each stage over `deliveries`, of which the first `warm` fill the windows and do not count.

    Args:
        deliveries: the stream.
        profiles: of its machines.
        turn_messages: deliveries of one turn.
        warm: deliveries before the clock starts.
        folder: for the database.
    """
    config = Config.model_validate({})
    decode = message_decoder(config, monotonic=time.monotonic)
    scorer = load_scorer(config)
    pipeline = Pipeline(decode=decode, scorer=scorer, settings=pipeline_settings(config), profiles=profiles)
    onnx = InferenceSession(scorer.bundle.model, _single_thread())
    journal, marks = Journal("full", snapshot_s=config.journal.snapshot_s), UsedMarks()
    spent, batches, transactions = Spent(), [], []
    counted = Spent()
    for start in range(0, len(deliveries), turn_messages):
        book = spent if start >= warm else counted
        turn = deliveries[start : start + turn_messages]
        for mid, delivery in enumerate(turn, start):
            marks.mark_used(mid % 65_536, digest(delivery))
        step = book.of("pipeline", lambda turn=turn: pipeline.step(turn))
        changes = book.of(
            "journal_encoding",
            lambda step=step, at=start: journal.changes_of_turn(
                step, pipeline, marks=marks.take_new_marks(), now_s=at / 4000.0
            ),
        )
        if start < warm:
            continue
        transactions.append(changes)
        if step.scores:
            batches.append(np.concatenate([s.windows.values.reshape(-1, 128) for s in step.scores]))
    measured = deliveries[warm:]
    spent.of("decode", lambda: [decode(delivery) for delivery in measured])
    spent.of("memcpy", lambda: b"".join(delivery.payload for delivery in measured))
    spent.of("sqlite", lambda: _commit(transactions, folder))
    spent.of("onnxruntime", lambda: _infer(onnx, batches))
    windows = sum(len(batch) for batch in batches)
    return {
        "messages": len(measured),
        "turns": len(transactions),
        "channel_windows": windows,
        "windows_scored": pipeline.ledger.windows_scored,
        "transaction_bytes": sum(len(c.block) + len(c.marks) for c in transactions),
        "cpu_us_per_message": {
            name: round(1e6 * cpu_s / len(measured), 3) for name, cpu_s in spent.cpu_s.items()
        },
        "onnxruntime_us_per_channel_window": round(1e6 * spent.cpu_s["onnxruntime"] / max(windows, 1), 2),
    }


def _single_thread() -> SessionOptions:
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options


def _commit(transactions: list[Changes], folder: Path) -> None:
    database = Database(folder / "alone.sqlite")
    database.open()
    for changes in transactions:
        if not changes.empty:
            database.commit(changes)
    database.close()


def _infer(session: Any, batches: list[np.ndarray]) -> None:
    names = [node.name for node in session.get_outputs()][:2]
    for batch in batches:
        window = np.ascontiguousarray(batch[:, np.newaxis])
        feeds = {
            "window": window,
            "observed": np.ones_like(window),
            "location": window.mean(axis=2),
            "scale": window.std(axis=2) + np.float32(1e-3),
        }
        session.run(names, feeds)
