"""The edge agent: watches machines from a factory gateway; never imports torch."""

import os

__version__ = "0.1.0"

# From 1.32 on onnxruntime reports its use to its maker over the Internet, unless told not to before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
