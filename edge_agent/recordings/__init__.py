"""Tables on disk: what was measured, read for learning and replay, and written by the recorder.

`tables` reads CSV and Parquet whole, `shards` piece by piece; `timeline`, `spool` and `archive` write what an agent
hears, by machine and day; `failure_records` reads what people noted down; `replay` drives the pipeline over a
recording.

Not here: the state of the agent (`store`), and when something is recorded (`service/recorder`).

Rules:
- A replay is the pipeline that the service runs: same rows, same scores, same alarms.
- What cannot be read is an error that names the file; nothing is guessed.
- A recorded table is written whole or not at all, and all of them are bounded in bytes.
"""
