"""What is normal for one machine: baseline, threshold from a budget of false alarms, drift (ISO 17359: baseline).

Here lives what turns a machine's normal rows into arrays that detectors read (`baseline`, `normal_windows`), the
threshold that keeps a budget (`threshold`), how it follows slow drift in service (`threshold_tracking`) and how far
rows and scores have moved since (`drift`). What a detector remembers is its own matter, in `detect`; when a machine is
learnt is the pipeline's, in which thread the service's.

Rules: pure, the same rows and seed give the same arrays to the bit. No label and no fault is needed. A fault must never
become normal: what was seen around an alarm moves no threshold. Scores that set a threshold are held out.
"""
