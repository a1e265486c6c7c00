"""Owners with models of their own, for the tests of personal federations."""

import numpy as np
from learning_samples import CPU, blobs, clean_shards

from learning.cohort_work import CohortWork
from learning.models import FlatModel
from learning.personal_federation import PersonalFederation
from learning.personalization import PERSONALIZATION
from learning.streams import Streams
from learning.training import LocalTraining
from learning.uploads import Upload

STREAMS = Streams(4)
DATASET = blobs()
COUNT = 6
SHARDS = clean_shards(DATASET, COUNT, STREAMS)
PLAN = LocalTraining(batch_size=8)
NO_NORM = float("nan")


def personal(method="local", model="mlp", *, dataset=DATASET, shards=SHARDS, plan=PLAN, params=None, **how):
    """A federation of personal models. ``params`` are those of the method."""
    flat = FlatModel(model, dataset.shape, dataset.classes)
    chosen = PERSONALIZATION[method](**(params or {}))
    where = {"streams": STREAMS, "device": CPU}
    return PersonalFederation(model=flat, dataset=dataset, shards=shards, plan=plan, method=chosen, **where, **how)


def work(kinds=(Upload.TRAINED,) * COUNT, rows=None, peers=None, scale=1.0, shards=SHARDS) -> CohortWork:
    """Owners 10, 11, ... with shards 0, 1, ... and all their samples; of these ``rows`` (None: as many as kinds)."""
    rows = np.arange(len(kinds)) if rows is None else np.asarray(rows)
    return CohortWork(
        owner=10 + rows,
        shard=rows,
        samples=shards.sizes[rows],
        base_version=np.zeros(len(rows), dtype=np.int64),
        upload=np.array(kinds, dtype=np.int8),
        scale=np.full(len(rows), scale),
        peer=np.full(len(rows), -1) if peers is None else np.asarray(peers),
    )


def everybody(count=COUNT):
    """Each may take from every other."""
    return ~np.eye(count, dtype=np.bool_)


def play(running, rounds, cohort=None, allowed=None, first=0):
    """Rounds with the owners' true data sizes as weights; gives the uploads of the last."""
    cohort = work() if cohort is None else cohort
    for counter in range(first, first + rounds):
        sent = running.uploads(cohort, counter, 0.5)
        weights = cohort.samples.astype(float)
        running.exchange(sent, cohort, weights, everybody(len(cohort)) if allowed is None else allowed, counter)
        accuracy, _ = running.evaluate(cohort.owner)
        running.keep_best(cohort.owner, running.owner_mean(accuracy, cohort.shard))
    return sent
