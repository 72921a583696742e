"""Endless synthetic signals for pre-training, and labelled anomalies for them. Not machines: see `simulator`.

Univariate windows in the spirit of synthetic-prior pre-training (KernelSynth of Ansari et al., "Chronos", 2024) and
of the anomaly generator GutenTAG (Wenig et al., "TimeEval", 2022). Chance comes only from the generator passed in.
"""

from edge_trainer.data.synthetic.anomalies import ANOMALIES, inject
from edge_trainer.data.synthetic.drift import laid_under
from edge_trainer.data.synthetic.mixture import windows
from edge_trainer.data.synthetic.shapes import SHAPES
from edge_trainer.data.synthetic.vibration import vibration

__all__ = ["ANOMALIES", "SHAPES", "inject", "laid_under", "vibration", "windows"]
