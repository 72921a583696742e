"""Data quality: what is wrong with sensors and sources, apart from the machine that they measure.

`monitor` holds one machine's channels against what its own normal rows showed (`checks`, `unit_change`);
`source_monitor` knows who has gone silent and whose clock is wrong; `findings` makes alarms of kind `sensor` of both.
What rows say of a machine's state, which is no anomaly either, is found here, too: `standstill`, `unseen_values`.

Not here: whether the machine is anomalous (`detect`), and whether people are called (`alarms`).

Rules:
- A channel under suspicion is hidden from the score at once; a finding is said only when the suspicion has lasted.
- No machine counts as anomalous for a finding, and a channel has one finding at a time.
- Pure: times are arguments; the same rows give the same findings, in whatever portions they come.
"""
