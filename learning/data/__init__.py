"""Labelled data sets: the named ones, one family per file, and any user's own ``.npz``, brought to one form."""

from __future__ import annotations

from learning.data import domains, images, markov, prose, tables, writers
from learning.data.arrays import dataset_from_arrays, read_npz, standardise
from learning.data.dataset import DATASETS, BadData, Dataset, data_folder
from learning.data.loading import load_dataset

__all__ = [
    "DATASETS",
    "BadData",
    "Dataset",
    "data_folder",
    "dataset_from_arrays",
    "load_dataset",
    "read_npz",
    "standardise",
]

# Importing a family files its sets in DATASETS. These two stand on the parts above.
from learning.language import instructions, offline

del domains, images, instructions, markov, offline, prose, tables, writers
