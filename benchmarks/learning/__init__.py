"""The trainer beside its peers on identical work: ``python -m benchmarks.learning``; see ``benchmarks/README.md``."""
