"""The model bundle: read, verified, started, guarded against roll-back; and profiles as bytes.

Here live the bundle's format (`bundle`, `signature`, `onnx_check`, `arrays`), the record of what has run here
(`rollback`), the network in its session, the try-out in a copy of the process (`isolated`), what was learnt of a
machine as bytes (`profile`) and arrays that are only read when they are asked for (`lazy_arrays`). What a network's
answers mean is `detect`'s matter; what is in a profile `commissioning`'s.

Rules: nothing is unpickled. A bundle is read whole before it is trusted, and what was verified is what runs: signatures
come before anything is parsed, hashes before anything is decoded, limits before memory is asked for. A network that
answers otherwise than the trainer saw is refused. Older profiles are read for ever; names on disk stay.
"""
