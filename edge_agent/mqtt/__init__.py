"""Bytes to and from the broker (ISO 13374: data acquisition): connections, queues, duplicates, load shedding.

What a payload means is not known here (`formats`), nor what an alarm is (`alarms`): this room moves topics and bytes.

Rules:

- paho is imported by `bulk_client`, `connection`, `ingest` and `egress` alone.
- Callbacks run on paho's network thread: they copy, take no lock held around a paho call, and let nothing escape.
- A message is acknowledged once what it changed is on the disk; until then the broker keeps it for us.
- Every queue is bounded, and what leaves it unread or unsent is counted.
- `duplicates`, `outbox` and `packet_rules` are pure: times are arguments.
"""
