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
from edge_agent.store.risky_work import RiskyWork

log = get_logger()

_GIVEN_UP = (
    "the process died twice while it learnt this machine: leave channels out, learn from fewer rows "
    "or allow more memory (limits.learning_bytes, MemoryMax), then recommission it"
)


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
        self,
        *,
        scorer: Scorer,
        settings: PipelineSettings,
        risky: RiskyWork | None = None,
        learn: Callable[..., Profile] = learn,
    ) -> None:
        """`risky` remembers which machines killed the process that learnt them."""
        self._risky = risky
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
        if self._risky is not None:
            self._risky.load()
        threading.Thread(target=self._work, name="learner", daemon=True).start()

    def leave(self) -> None:
        """The process ends now, wanted, whatever is being learnt."""
        if self._risky is not None:
            self._risky.leave()

    def forgive(self, machine: str) -> None:
        """Try to learn the machine again, whatever that did."""
        if self._risky is not None:
            self._risky.forgive(machine)

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
            result = self._outcome(request)
            took_s = time.perf_counter() - started
            self._learnt.put(Learnt(request.machine, result, took_s, beside=request.beside))
            if self._requests.empty():
                give_memory_back()
            self._busy.clear()

    def _outcome(self, request: CommissionRequest) -> Profile | str:
        """What came of a request; a machine that killed two processes is not learnt by a third."""
        machine, risky = request.machine, self._risky
        if risky is not None and risky.given_up(machine):
            return _GIVEN_UP
        if risky is not None:
            risky.begin(machine)
        try:
            return self._learn(request, scorer=self._scorer, settings=self._settings)
        except CommissionError as error:
            return str(error)
        except Exception as error:
            log.exception("machine_learning_crashed", machine=machine)
            return f"internal error: {error!r}"
        finally:
            if risky is not None:
                risky.end(machine)


def give_memory_back() -> None:
    """Return to the system what learning has freed: the C library would keep it for the next machine.

    Where the library has no such door nothing is done.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
