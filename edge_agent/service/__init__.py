"""The running agent: its threads and clocks, the configuration wired to the rooms, and all that ends with the process.

Here: the agent from start to farewell (`agent`), one round of it (`turn`), its optional parts behind one protocol
(`parts`: `sparkplug`, `cluster`, `page`), the worker that learns machines (`learning_worker`), another configuration
while it runs (`reload`), what others see of it (`health`), configuration to the rooms' own settings (`wiring`), signals
and systemd (`process`, `systemd`), and the recorder, which is a process of its own (`recorder`).

Not here: what a message means, what a score is, who is called for an alarm. This room asks the others and says when.

Rules:
- Nothing is acknowledged to the broker before what follows from it is on disk.
- One thread turns the pipeline. It waits for nobody: network, page and learning have threads of their own.
- What fails in a turn is contained, counted and logged; what is optional never stops the rest.
- A new source or sink is one file and one line in `agent.PARTS`.
"""
