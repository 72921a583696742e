"""Starts the agent as `python -m edge_agent` does, with two signals that break it from inside.

SIGUSR1 kills every MQTT network thread, as an exception in one of its callbacks would. SIGUSR2 blocks the pipeline's
thread, as a bug would, for `FAULTS_BLOCK_S` seconds.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from types import FrameType

from edge_agent.cli.app import main


def kill_network_threads(_number: int, _frame: FrameType | None) -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("paho") and thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
            )


def block(_number: int, _frame: FrameType | None) -> None:
    """Signal handlers run in the main thread, which turns the pipeline."""
    time.sleep(float(os.environ["FAULTS_BLOCK_S"]))


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, kill_network_threads)
    signal.signal(signal.SIGUSR2, block)
    sys.exit(main())
