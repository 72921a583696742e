"""What a network is asked to learn without labels, one file a family; any weighted sum of them is an objective."""

from trainer.objectives.adversarial import AdversarialEmbedding
from trainer.objectives.batch import Batch, Objective, Weighted
from trainer.objectives.contrast import NearTriplet
from trainer.objectives.distillation import Imitation
from trainer.objectives.estrangement import Estrangement
from trainer.objectives.injected import InjectedRows
from trainer.objectives.reconstruction import TARGET_LIMIT, MaskedReconstruction

__all__ = [
    "TARGET_LIMIT",
    "AdversarialEmbedding",
    "Batch",
    "Estrangement",
    "Imitation",
    "InjectedRows",
    "MaskedReconstruction",
    "NearTriplet",
    "Objective",
    "Weighted",
]
