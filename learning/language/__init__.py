"""Instruction tuning of causal language models with low-rank adapters, as ordinary models of the trainer.

``instructions`` reads files of instructions, ``causal`` the models of the optional extra ``language``; ``offline`` and
``tiny`` are a task and a model that need neither the extra nor a network. Nothing here is imported before it is asked
for, but for the names in the registries.
"""
