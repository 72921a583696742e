"""How fast, how large and how dear, beside limits and peers; `run` is `make bench` and writes docs/performance.md."""
