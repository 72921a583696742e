"""What a network is asked to learn without labels, one file a family; any weighted sum of them is an objective."""

from edge_trainer.training.objectives.adversarial import AdversarialEmbedding
from edge_trainer.training.objectives.batch import Batch, Objective, Weighted
from edge_trainer.training.objectives.contrast import NearTriplet
from edge_trainer.training.objectives.distillation import Imitation
from edge_trainer.training.objectives.estrangement import Estrangement
from edge_trainer.training.objectives.injected import InjectedRows
from edge_trainer.training.objectives.reconstruction import TARGET_LIMIT, MaskedReconstruction

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
