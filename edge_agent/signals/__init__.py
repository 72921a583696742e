"""Data manipulation (ISO 13374): a machine's samples become rows on one time axis, windows, and numbers about them.

`row_buffer` is the door: a frame goes in by `accept`, and the new rows come out by `take_due` with the windows that end
in them. Behind it `intake` holds the three ways in, `row_store` and `row_arrays` the rows, `windows` the cutter;
`alignment` brings samples of any rate onto a grid. `features`, `views`, `spectrum` and `vibration` turn windows and
waveforms into numbers.

Not here: what a payload means (`formats`), whether a value can be trusted (`sensors`), what is normal
(`commissioning`).

Rules:
- Pure, and event times are the only clock: the same frames give the same rows, to the bit.
- Nothing is judged: a missing value is held, then hidden (NaN), never invented.
- What a buffer writes down goes on after a restart with the same windows.
"""
