"""Tables of features that come with scikit-learn: small, real, and there without a download.

Of every class each fifth sample is for testing; features are standardised by the training half.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from learning.data.arrays import dataset_from_arrays
from learning.data.dataset import DATASETS, Dataset, each_fifth, interleaved


@DATASETS.register("iris")
def iris(folder: Path) -> Dataset:
    """Iris flowers: 150 of 3 species, 4 measures (Fisher 1936); comes with the installation."""
    return _table("iris")


@DATASETS.register("wine")
def wine(folder: Path) -> Dataset:
    """Italian wines: 178 of 3 cultivars, 13 chemical measures (Forina et al. 1988); comes with the installation."""
    return _table("wine")


@DATASETS.register("breast_cancer")
def breast_cancer(folder: Path) -> Dataset:
    """Tumours in Wisconsin: 569, benign or not, 30 measures (Street et al. 1993); comes with the installation."""
    return _table("breast_cancer")


def _table(name: str) -> Dataset:
    import sklearn.datasets

    features, raw_labels = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    order = interleaved(np.asarray(raw_labels))  # they come sorted by class, and a scenario may ask for the first ones
    features, labels = features[order], np.asarray(raw_labels, dtype=np.int64)[order]
    testing = each_fifth(labels)
    halves = {"x_train": features[~testing], "y_train": labels[~testing]}
    halves |= {"x_test": features[testing], "y_test": labels[testing]}
    return dataset_from_arrays(name, halves, source=f"scikit-learn's {name}")
