"""The state directory: what outlives the process, and how it gets there whole.

What the bytes mean is known to the rooms that gave them; here are names, bytes, files and one transaction a turn. No
broker is known, and no wall clock: times are arguments.

Rules:

- What a turn changed is one transaction, on the disk before the turn's messages are acknowledged (`state_writer`).
- Memory counts and the disk follows: where nothing can be written the agent goes on, says so, and tries again.
- Files are written whole or not at all (`atomic_file`); what cannot be read is set aside under another name and
  reported, never deleted and never fatal.
- Every value carries a checksum of itself and its name; sqlite3 is imported by `sqlite_file` and `database` alone.
- Names on the disk never change: files, tables, keys, fields. A state directory of an older agent is taken over.
"""
