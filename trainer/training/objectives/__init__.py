"""What a network is asked to learn without labels, one file a family; any weighted sum of them is an objective."""

from trainer.training.objectives.adversarial import AdversarialEmbedding
from trainer.training.objectives.batch import Batch, Objective, Weighted
from trainer.training.objectives.contrast import NearTriplet
from trainer.training.objectives.distillation import Imitation
from trainer.training.objectives.estrangement import Estrangement
from trainer.training.objectives.injected import InjectedRows
from trainer.training.objectives.reconstruction import TARGET_LIMIT, MaskedReconstruction

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
