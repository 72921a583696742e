"""The table of detectors: which there are, and how much each counts. To add one, add a line at its end.

A profile keeps what is learnt of each raw score by its place in `COLUMNS`: a line that is added follows after them, and
a name stays where it is, though no detector says it any more. Machines learnt before a line was added go on without its
detector until they are learnt again.
"""

from edge_agent.detect.detectors.in_context import InContext
from edge_agent.detect.detectors.level_jump import LevelJump
from edge_agent.detect.detectors.mahalanobis import Mahalanobis
from edge_agent.detect.detectors.nearest_neighbours import NearestNeighbours
from edge_agent.detect.detectors.reconstruction import Reconstruction
from edge_agent.detect.ensemble import Ensemble, Listed, Weight
from edge_agent.detect.view_scales import LENGTHS_ROWS

# In what alarms, the raw-window model counts less but is the only one that sees relations between channels.
# "recent" are scores of the newest rows only: when they are normal, a fault that they saw is over.
DETECTORS = (
    Listed(
        NearestNeighbours(),
        Weight("together", 4.0),
        Weight("recent", 1.0, of=("together_16",)),
        Weight("recent", 1.0, of=("together_32",)),
    ),
    Listed(Mahalanobis(), Weight("together", 2.0), Weight("recent", 2.0)),
    Listed(Reconstruction()),
    Listed(LevelJump(), Weight("by itself", 1.0)),
    Listed(InContext(), judges=True),
)

COLUMNS = (
    *(f"together_{rows}" for rows in LENGTHS_ROWS),
    "shape",
    *(f"wide_{rows}" for rows in LENGTHS_ROWS),
    *(f"alone_{rows}" for rows in LENGTHS_ROWS),
    *("change_16", "change_32", "contrast_16", "contrast_32"),
    *("embedding", "reconstruction", "reconstruction_newest"),
    *("jump", "in_context", "in_context_strangeness"),
)
"""Raw scores in the order of profiles; from `wide_16` to `embedding` they only ranked windows, and are said no more."""

_EMBEDDING = ("embedding_bank", "embedding_square", "embedding_usual", "embedding_reach")
FORGOTTEN = ("settle_", "wide_", "alone_", *_EMBEDDING, "embedding_centre", "embedding_spread")
"""How arrays of older profiles begin that nothing reads any more."""

ENSEMBLE = Ensemble(DETECTORS, columns=COLUMNS, forgotten=FORGOTTEN)
