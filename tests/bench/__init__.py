"""The benchmarks: `python -m tests.bench` measures, and writes docs/benchmarks.md and .json."""
