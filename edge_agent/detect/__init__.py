"""From windows to scores: detectors, their ensemble, the trigger (ISO 13374: state detection).

Here live the protocol of a detector (`detector`), one file for each, named as the literature names it, the table of
them with how much each counts (`detectors`), what asks them all at once (`ensemble`, `fusion`), the scorer that the
pipeline calls, and the trigger that makes an alarm of scores. What is normal for a machine is learnt from in
`commissioning`; which channels and which fault is `diagnose`'s question; the network runs in `model`.

Rules: a detector is one file and one line, and knows no other detector. A window's score comes from the window and
what was learnt of its machine, and from nothing else: many machines together give to the bit what each gives alone, or
as near as the processor's rounding. The newest row is "now": nothing looks ahead. Names of arrays in a profile are
promises to state directories in the field and stay. No clock, no thread, no file.
"""
