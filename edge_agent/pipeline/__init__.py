"""Joins the rooms of the street for all machines: deliveries in, alarms out, one call of `Pipeline.step` a turn.

`pipeline` conducts; `machine` is what it holds of one machine and `machines` of all; `condition` keeps an alarm's id
from raised to cleared; `validation` joins rows and sensors; `learning` makes profiles; `ledger` books what became of
each message; `settings` is what the pipeline is told, `results` what a step brings to light.

Not here: who calls it and when (`service`), who is called (`alarms`), what is written down (`store`).

Rules:
- Pure and synchronous: no clock, socket, thread or file, so that a replay does what the service does.
- A message is booked once, where its outcome is known: received = accepted + duplicate + rejected + late + shed.
- What one message or one machine brings about stops no other: it is caught, booked and handed out with the results.
- A frame goes into its machine's rows once and comes out once.
"""
