"""From a name to a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from learning.data.arrays import dataset_from_arrays, read_npz
from learning.data.dataset import DATASETS, Dataset, data_folder


def load_dataset(name: str, folder: Path | None = None, **parameters: Any) -> Dataset:
    """A registered data set, or the file at a path that ends in ``.npz``.

    Named sets are looked for in ``folder`` (default: ``data_folder()``), ``parameters`` are those of the set. Raises
    ``UnknownName`` or ``BadData``.
    """
    if name.endswith(".npz"):
        path = Path(name).expanduser()
        return dataset_from_arrays(path.stem, read_npz(path), source=str(path))
    return DATASETS[name](data_folder() if folder is None else folder, **parameters)
