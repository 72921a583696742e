"""Endless synthetic signals for pre-training, and labelled anomalies for them. Not machines: see `simulator`.

Univariate windows in the spirit of synthetic-prior pre-training (KernelSynth of Ansari et al., "Chronos", 2024) and
of the anomaly generator GutenTAG (Wenig et al., "TimeEval", 2022). Chance comes only from the generator passed in.
"""

from trainer.data.synthetic.anomalies import ANOMALIES, inject
from trainer.data.synthetic.drift import laid_under
from trainer.data.synthetic.mixture import windows
from trainer.data.synthetic.shapes import SHAPES
from trainer.data.synthetic.vibration import vibration

__all__ = ["ANOMALIES", "SHAPES", "inject", "laid_under", "vibration", "windows"]
