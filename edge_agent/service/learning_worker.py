"""The worker that learns new machines one at a time, beside the pipeline's thread: it takes seconds each."""

import contextlib
import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue

from edge_agent.detect.scorer import Scorer
from edge_agent.errors import CommissionError
from edge_agent.logs import get_logger
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Profile

log = get_logger()


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the worker made of a request: a profile or the reason why there is none; `beside` as it was asked for."""

    machine: str
    result: Profile | str
    took_s: float
    beside: bool = False


class Learner:
    """Takes requests, gives profiles."""

    def __init__(
        self, *, scorer: Scorer, settings: PipelineSettings, learn: Callable[..., Profile] = learn
    ) -> None:
        self._scorer = scorer
        self._settings = settings
        self._learn = learn
        self._requests: SimpleQueue[CommissionRequest] = SimpleQueue()
        self._learnt: SimpleQueue[Learnt] = SimpleQueue()
        self._busy = threading.Event()

    @property
    def busy(self) -> bool:
        """Whether a machine is being learnt right now; it cannot be interrupted."""
        return self._busy.is_set()

    def adopt(self, *, scorer: Scorer, settings: PipelineSettings) -> None:
        """Learn with another model and other settings from the next request on."""
        self._scorer, self._settings = scorer, settings

    def start(self) -> None:
        """Begin to work. A daemon: a leaving agent does not wait for a half-learnt machine."""
        threading.Thread(target=self._work, name="learner", daemon=True).start()

    def submit(self, request: CommissionRequest) -> None:
        """Ask for a machine to be learnt."""
        log.info("machine_learning", machine=request.machine, rows=len(request.rows))
        self._requests.put(request)

    def finished(self) -> Iterator[Learnt]:
        """What has been learnt since the last call."""
        while not self._learnt.empty():
            yield self._learnt.get()

    def _work(self) -> None:
        while True:
            request = self._requests.get()
            self._busy.set()
            started = time.perf_counter()
            result: Profile | str
            try:
                result = self._learn(request, scorer=self._scorer, settings=self._settings)
            except CommissionError as error:
                result = str(error)
            except Exception as error:
                log.exception("machine_learning_crashed", machine=request.machine)
                result = f"internal error: {error!r}"
            took_s = time.perf_counter() - started
            self._learnt.put(Learnt(request.machine, result, took_s, beside=request.beside))
            if self._requests.empty():
                _give_memory_back()
            self._busy.clear()


def _give_memory_back() -> None:
    """Return to the system what learning has freed: the C library would keep it for the next machine.

    Where the library has no such door nothing is done.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
