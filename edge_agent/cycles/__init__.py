"""Machines that run a program: rows become cycles, and a finished cycle is a row of the machine `name/cycle`.

`rules` says when a cycle begins and what its channels are, `segmentation` cuts rows into cycles, `cycle_row` makes one
row of a cycle, `bands` knows the curves of each recipe, and `maker` joins them for one machine.

Not here: whether a cycle is unusual (`detect.cycle_scores`), what is learnt of cycles (`commissioning.cycle_baseline`),
and what a recipe that nobody knows brings about (`pipeline.cycle_notices`).

Rules:
- Pure, and event times are the only clock.
- A cycle is finished or it is none: what is cut by a gap, never ends or is too short is counted with its reason.
- The machine itself goes on as if nobody counted its cycles.
"""
