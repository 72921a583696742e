"""Calling people: who is called when about which alarm, by which message, and what became of each.

`rules` and `book` decide and remember, `words` and `templates` write; they are pure: the time is an argument, and what
is to be kept is handed out as bytes by name. `sender` alone opens connections and reads secrets.

Rules:

- Calls follow from how alarms stand, not from events: what a crash or an outage held up is found again.
- A call is on the disk before it is sent. What may have arrived is sent again only after the cool-down.
- Each call ends confirmed or given up, with the reason: made = confirmed + given up + waiting, for each `[[notify]]`.
- Nothing in here can hold up or end the watch: one attempt a rule at a time, in a thread of its own, bounded in time.
"""
