"""The engine of a run: the world's state in columns, its clock, and the phases that move it on."""
