"""On what the last bits of a float depend: libraries, and the instructions that they choose on this processor."""

import ctypes
import platform
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy._core._multiarray_umath import __cpu_features__ as instructions

_LIBRARIES = ("numpy", "onnxruntime", "msgspec", "prometheus_client")
"""Those that calculate, and those that write figures down."""


def environment() -> dict[str, str]:
    """Equal where two runs are equal bit for bit."""
    return {
        "python": ".".join(map(str, sys.version_info[:2])),
        **{name: metadata.version(name) for name in _LIBRARIES},
        "machine": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "instructions": " ".join(sorted(name for name, there in instructions.items() if there)),
        "blas": _blas(),
    }


def _blas() -> str:
    """What numpy's OpenBLAS calls the processor that it works for; "" where it is another library."""
    for path in (Path(np.__file__).parents[1] / "numpy.libs").glob("*openblas*"):
        library = ctypes.CDLL(str(path))
        for name in ("scipy_openblas_get_corename64_", "openblas_get_corename64_", "openblas_get_corename"):
            if (ask := getattr(library, name, None)) is not None:
                ask.restype = ctypes.c_char_p
                return str(ask().decode())
    return ""
