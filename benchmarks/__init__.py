"""Figures of daprflow beside its peers: ``python -m benchmarks`` prints one table of ratios."""
