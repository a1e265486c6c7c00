"""One script per side, run in a process of its own. They import only torch, NumPy and the one thing they measure.

Each runs as a script in an environment without this project, so they import one another by their bare names.
"""
