"""What is generated, to be looked at and measured: whether it shows its label, and whether it is only copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from learning.columns import IntColumn
from learning.data.dataset import interleaved
from learning.generation import class_counts, labels_of
from learning.streams import Streams
from scenarios.plots.canvas import nothing_to_show, styled
from scenarios.plots.generated import GAP, GENERATED, REAL, generated_images
from scenarios.reproduce.cocogen.tasks import SEED, Task, measured_tasks
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.verdicts import unpublished

COLUMNS = ("task", "samples", "quantity")
SAME, NEAREST = (
    "nearest real sample has the same label (%)",
    "distance to the nearest real sample, relative to a new one's",
)
SHOWN, COMPARED = 300, 3000
"""Generated samples, and real ones that they are compared with, at most."""


class Sampled(NamedTuple):
    """Generated samples x [n, *shape] with labels y [n]."""

    x: NDArray[np.float32]
    y: IntColumn


def images(options: Options) -> Study:
    """Generated beside real images of every task, and two numbers about each."""
    tasks, warnings = measured_tasks(options)
    made = [(task, generated(task, SHOWN)) for task in tasks]
    return Study(
        name="images",
        title="Generated samples",
        method=(
            f"{SHOWN} samples of each task's shared generator, with labels in equal shares, and as many test samples, "
            f"beside the public samples that the generator was trained on ({COMPARED:,} at most). A nearest real "
            "sample of the same label says that a sample shows what it should; a distance near 0 would say that it is "
            "a copy, one below 1 that generated samples are smoother than real ones."
        ),
        columns=COLUMNS,
        rows=tuple(row for task, samples in made for row in _rows(task, samples)),
        figure=_figure(made),
        caption="Real and generated images, a row for each class; tables have no pictures.",
        warnings=warnings,
    )


def generated(task: Task, number: int) -> Sampled:
    """Samples of the task's shared generator with labels in equal shares."""
    shared, classes = task.laboratory.shared, task.laboratory.dataset.classes
    assert shared is not None
    known = shared.known
    fair = np.full(classes, 1.0 / classes)
    labels = labels_of(class_counts("global", np.zeros(classes, dtype=np.int64), fair, number, known))
    return Sampled(shared.sample(labels, 0, 0, Streams(SEED)).cpu().numpy(), labels)


def nearest(x: NDArray[np.float32], real: NDArray[np.float32]) -> tuple[NDArray[np.float64], IntColumn]:
    """Euclidean distance [n] from each sample to the nearest real one, and which that is."""
    apart = cdist(x.reshape(len(x), -1), real.reshape(len(real), -1))
    return apart.min(axis=1), np.asarray(apart.argmin(axis=1))


def _rows(task: Task, samples: Sampled) -> list[Row]:
    data, rows = task.laboratory.dataset, []
    kept = interleaved(task.public.y_train)[:COMPARED]
    real, labels = task.public.x_train[kept], task.public.y_train[kept]
    new = Sampled(data.x_test[:SHOWN], data.y_test[:SHOWN])
    typical = float(np.median(nearest(new.x, real)[0]))
    for name, (x, y) in (("generated", samples), ("test", new)):
        distance, place = nearest(x, real)
        found = {SAME: 100 * float((labels[place] == y).mean()), NEAREST: float(np.median(distance)) / typical}
        rows += [Row((task.name, name, quantity), value, unpublished()) for quantity, value in found.items()]
    return rows


@styled
def _figure(made: Sequence[tuple[Task, Sampled]]) -> Figure:
    pictures = [(task, samples) for task, samples in made if samples.x.ndim == 4 and samples.x.shape[1] in (1, 3)]
    if not pictures:
        empty = nothing_to_show(None, "Generated samples", "tables have no pictures").figure
        assert isinstance(empty, Figure)
        return empty
    cell = 0.36
    width, height = (REAL + GENERATED + 2) * cell * (1 + GAP), 10 * cell * (1 + GAP) + 0.8
    figure = Figure(
        figsize=(len(pictures) * width, height), layout=ConstrainedLayoutEngine(w_pad=0.12, rect=(0.0, 0.0, 1.0, 0.94))
    )
    for ax, (task, samples) in zip(figure.subplots(1, len(pictures), squeeze=False)[0], pictures, strict=True):
        data = task.laboratory.dataset
        order = interleaved(data.y_test)[: 40 * data.classes]
        generated_images(samples.x, samples.y, data.x_test[order], data.y_test[order], ax)
        ax.set_title(task.name, loc="left", y=1.06)
    return figure
