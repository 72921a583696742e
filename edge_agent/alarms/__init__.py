"""The life of an alarm after ISA-18.2, operators' commands, and the message that subscribers get.

When a machine is in alarm is the pipeline's business (`pipeline.condition`); who is called for it, who has seen it and
what is published of it is decided here. Nothing is sent (`mqtt`) and nothing is written (`store`).

A command goes `requests` (bytes to a checked request or a refusal) -> `command_handler` (allowed, new, possible) ->
`lifecycle` or `machines` (what it does) -> `manager` (the reply, and the revisions that follow).

Rules:

- `lifecycle`, `state`, `flood` and `maintenance` are pure: the time is an argument, and what they hold is bounded.
- Every revision of an alarm is numbered, without gaps; every alarm that opened ends with one closing.
- A request counts once: the same command again gets the same answer and changes nothing.
- Every refusal has a reason out of a bounded list, is answered, counted and kept in the `audit` log.
- Published forms are docs/alert.schema.json and docs/commands.schema.json; field names on the disk never change.
"""
