"""Agents that share the machines of one broker: who is there, who has which machine, and how it is handed over.

Here: a member's view of its group from heartbeats (`membership`), which machines and topics are ours (`ownership`),
a profile as a message (`handover`), and which profiles are still to be announced (`announcements`).

Not here: the connection (`mqtt.peer_connection`), the turn that joins all this with the pipeline (`service.cluster`).

Rules:
- Pure: time is an argument, and nothing is sent from here.
- Two members never take themselves for the owner of one machine at once; `membership` says by which two rules.
- A machine is given up before it is taken; what the broker keeps of it is checked before it is used.
"""
