"""Experiments: scenario schema, the simulation, recorder, plots, report and the command line."""
