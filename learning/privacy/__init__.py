"""Differential privacy of uploads: how much noise a privacy loss asks for, what has been spent, what it protects from.

``mechanisms`` and ``terms`` turn a privacy loss epsilon into noise and back, ``accounting`` and ``ledger`` add releases
up, ``aggregation_weights`` merges uploads of unequal noise, ``gradient_inversion`` and ``gradient_matching`` attack
them. The noise itself is put on by ``learning.privacy_hook``. Nothing here but the attacks needs torch.
"""
