"""Runs that survive: their whole state on disk between two windows, and the ways back from there.

=============  ==================================================================================================
module         what it does
=============  ==================================================================================================
kinds          which things hold state, which are built anew from the scenario, which need care of their own
capturing      from a simulation to a tree of plain values, columns and tensors, found by walking its attributes
sharing        which columns and tensors look at the same memory
restoring      from such a tree back into a freshly built simulation
arrays         the columns and tensors of it
special        the few things that a walk cannot copy: the clock, the centers' queues, networkx graphs
files          one checkpoint as a folder of JSON, npz and safetensors files under checksums
rows           the rows of the tables so far, beside the checkpoints
recording      a recorder that can go on after its process was killed
places         where the checkpoints of a run are, and which of them is the newest that is whole
saving         when a checkpoint is due
course         from a checkpoint to the end, however a run came to it
playing        ``datagora run --checkpoint-every`` and ``datagora resume``
branching      ``datagora branch``
=============  ==================================================================================================
"""
