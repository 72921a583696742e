"""The table of detectors: which there are, and how much each counts. To add one, add a line at its end.

A profile keeps what is learnt of each raw score by its place in this table, so lines are added at the end, and none is
taken out or moved. Machines learnt before a line was added go on without its detector until they are learnt again.
"""

from edge_agent.detect.detectors.channel_neighbours import ChannelNeighbours
from edge_agent.detect.detectors.contrast import Contrast
from edge_agent.detect.detectors.embedding_neighbours import EmbeddingNeighbours
from edge_agent.detect.detectors.in_context import InContext
from edge_agent.detect.detectors.level_jump import LevelJump
from edge_agent.detect.detectors.mahalanobis import Mahalanobis
from edge_agent.detect.detectors.nearest_neighbours import NearestNeighbours
from edge_agent.detect.detectors.reconstruction import Reconstruction
from edge_agent.detect.ensemble import Ensemble, Listed, Weight
from edge_agent.detect.view_scales import ALARM_KNEE, RANK_KNEE

# In what alarms, the raw-window model counts less but is the only one that sees relations between channels.
# "recent" are scores of the newest rows only: when they are normal, a fault that they saw is over.
DETECTORS = (
    Listed(
        NearestNeighbours("together", knee=ALARM_KNEE),
        Weight("together", 4.0),
        Weight("recent", 1.0, of=("together_16",)),
        Weight("recent", 1.0, of=("together_32",)),
    ),
    Listed(Mahalanobis(), Weight("together", 2.0), Weight("recent", 2.0), Weight("rank", 0.35)),
    Listed(NearestNeighbours("wide", knee=RANK_KNEE), Weight("rank", 1.0)),
    Listed(
        ChannelNeighbours(),
        Weight("rank", 1.0, of=("alone_16", "alone_32", "alone_64", "alone_128")),
        Weight("rank", 0.7, of=("change_16", "change_32")),
    ),
    Listed(Contrast(), Weight("rank", 0.4)),
    Listed(EmbeddingNeighbours(), Weight("rank", 1.5)),
    Listed(Reconstruction()),
    Listed(LevelJump(), Weight("by itself", 1.0)),
    Listed(InContext(), judges=True),
)

ENSEMBLE = Ensemble(DETECTORS)
