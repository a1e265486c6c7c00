"""Every method against a plain implementation of its paper: softmax regression, full batches, one owner at a time.

The references below share no code with the product. Owner k holds x[k], y[k] and n[k] samples; ``descend`` is gradient
descent on its mean cross-entropy plus pull / 2 * ||w - centre||^2.
"""

import itertools

import numpy as np
import pytest
from personal_samples import COUNT, DATASET, SHARDS, everybody, personal, work
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from learning.training import LocalTraining

ROUNDS = 3
STEPS = 4
RATE = 0.2
PLAN = LocalTraining(epochs=STEPS, batch_size=int(SHARDS.sizes.max()), learning_rate=RATE)
CLASSES, FEATURES = DATASET.classes, DATASET.shape[0]
N = SHARDS.sizes.astype(float)
X = [SHARDS.x[SHARDS.offsets[k] : SHARDS.offsets[k + 1]].double().numpy() for k in range(COUNT)]
Y = [SHARDS.y[SHARDS.offsets[k] : SHARDS.offsets[k + 1]].numpy() for k in range(COUNT)]


def logits(w, x):
    return x @ w[: CLASSES * FEATURES].reshape(CLASSES, FEATURES).T + w[CLASSES * FEATURES :]


def loss(w, x, y):
    return -log_softmax(logits(w, x), axis=1)[np.arange(len(y)), y].mean()


def gradient(w, x, y):
    error = (softmax(logits(w, x), axis=1) - np.eye(CLASSES)[y]) / len(y)
    return np.concatenate([(error.T @ x).ravel(), error.sum(axis=0)])


def descend(w, k, centre=0.0, pull=0.0, used=None):
    for _ in range(STEPS):
        w = w - RATE * (gradient(w, X[k][:used], Y[k][:used]) + pull * (w - centre))
    return w


def cosine(u, v):
    return u @ v / np.linalg.norm(u) / np.linalg.norm(v)


def local(initial):
    models = [initial] * COUNT
    for _ in range(ROUNDS):
        models = [descend(models[k], k) for k in range(COUNT)]
    return models


def fedavg(initial, mu=0.0):
    model = initial
    for _ in range(ROUNDS):
        model = np.average([descend(model, k, model, mu) for k in range(COUNT)], axis=0, weights=N)
    return [model] * COUNT


def fedprox(initial):
    return fedavg(initial, mu=0.1)


def ditto(initial):
    common, own = initial, [initial] * COUNT
    for _ in range(ROUNDS):
        own = [descend(own[k], k, common, 1.0) for k in range(COUNT)]
        common = np.average([descend(common, k) for k in range(COUNT)], axis=0, weights=N)
    return own


def fedamp(initial):
    models, mixes = [initial] * COUNT, [initial] * COUNT
    for _ in range(ROUNDS):
        models = [descend(models[k], k, mixes[k], 0.5 / 2.0) for k in range(COUNT)]
        mixes = []
        for k in range(COUNT):
            likeness = {n: np.exp(10 * cosine(models[k], models[n])) for n in range(COUNT) if n != k}
            others = sum(value * models[n] for n, value in likeness.items()) / sum(likeness.values())
            mixes.append(0.3 * models[k] + 0.7 * others)
    return models


def cfl(initial):
    clusters, models = [list(range(COUNT))], [initial]
    for _ in range(ROUNDS):
        trained, split, next_models = [None] * COUNT, [], []
        for members, model in zip(clusters, models, strict=True):
            updates = {}
            for k in members:
                trained[k] = descend(model, k)
                updates[k] = trained[k] - model
            mean = np.average(list(updates.values()), axis=0, weights=N[members])
            parts = [members]
            if len(members) > 2 and np.linalg.norm(mean) < 1.0 and max(map(np.linalg.norm, updates.values())) > 0.3:
                parts = least_alike_halves(members, updates)
            for part in parts:
                split.append(part)
                next_models.append(model + np.average([updates[k] for k in part], axis=0, weights=N[part]))
        clusters, models = split, next_models
    assert len(clusters) > 1, "nothing was split, so that this would say little"
    return trained


def least_alike_halves(members, updates):
    """Of all halves, those of which the most alike pair across is least alike."""
    first, rest = members[0], members[1:]
    best = None
    for size in range(1, len(members)):
        for away in itertools.combinations(rest, size):
            here = [first, *(k for k in rest if k not in away)]
            across = max(cosine(updates[a], updates[b]) for a in here for b in away)
            if best is None or across < best[0]:
                best = across, here, list(away)
    return best[1:]


def fedfomo(initial):
    held = [max(1, round(0.2 * len(y))) for y in Y]
    starts = [initial] * COUNT
    for _ in range(ROUNDS):
        trained = [descend(starts[k], k, used=len(Y[k]) - held[k]) for k in range(COUNT)]
        following = []
        for k in range(COUNT):
            x, y = X[k][-held[k] :], Y[k][-held[k] :]
            before = loss(starts[k], x, y)
            gains = [max(0.0, before - loss(model, x, y)) / np.linalg.norm(model - starts[k]) for model in trained]
            changes = sum(gain * (model - starts[k]) for gain, model in zip(gains, trained, strict=True))
            following.append(starts[k] + (changes / sum(gains) if sum(gains) else 0))
        starts = following
    return trained


def pfedgraph(initial):
    starts = [initial] * COUNT
    for _ in range(ROUNDS):
        trained = [descend(starts[k], k) for k in range(COUNT)]
        starts = []
        for k in range(COUNT):
            likeness = np.array([cosine(trained[k] - initial, model - initial) for model in trained])
            likeness = np.where(likeness > 0.9, 1.0, likeness)
            weights = minimize(
                lambda w, c=likeness: -w @ c + 0.8 * ((w - N / N.sum()) ** 2).sum(),
                N / N.sum(),
                bounds=[(0, 1)] * COUNT,
                constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
                method="SLSQP",
                options={"ftol": 1e-14},
            ).x
            starts.append(weights @ np.array(trained))
    return trained


def proximal(initial, gradient_of_distance, pull, step, first_pull=None):
    models, centres = [initial] * COUNT, [initial] * COUNT
    for t in range(ROUNDS):
        weight = first_pull if t == 0 and first_pull is not None else pull
        models = [descend(models[k], k, centres[k], weight) for k in range(COUNT)]
        centres = [
            models[i]
            - step / N[i] * sum(N[j] * gradient_of_distance(models[i], models[j]) for j in range(COUNT) if BOUGHT[i, j])
            for i in range(COUNT)
        ]
    return models


def cosine_gradient(initial):
    def gradient(own, other):
        u, v = own - initial, other - initial
        size = np.linalg.norm(u)
        return -(v / size / np.linalg.norm(v) - cosine(u, v) * u / size**2)

    return gradient


def squared_gradient(own, other):
    return 2 * (own - other)


BOUGHT = np.random.default_rng(8).uniform(size=(COUNT, COUNT)) < 0.4
np.fill_diagonal(BOUGHT, False)
BOUGHT[2] = False

IPFL = {"dissimilarity_penalty": 0.8, "prox_step": 0.4}
CASES = {
    "local": ("local", {}, local),
    "fedavg": ("fedavg", {}, fedavg),
    "fedprox": ("fedprox", {}, fedprox),
    "ditto": ("ditto", {}, ditto),
    "fedamp": ("fedamp", {"penalty": 0.5, "step": 2.0}, fedamp),
    "cfl": ("cfl", {"eps1": 1.0, "eps2": 0.3}, cfl),
    "fedfomo": ("fedfomo", {"models": COUNT - 1, "explore": 0.0, "validation_share": 0.2}, fedfomo),
    "pfedgraph": ("pfedgraph", {}, pfedgraph),
    "ipfl": ("proximal_centre", IPFL, lambda w: proximal(w, cosine_gradient(w), 0.8 / 0.4, 0.4)),
    "ipfl without a first pull": (
        "proximal_centre",
        IPFL | {"first_round_prox": False},
        lambda w: proximal(w, cosine_gradient(w), 0.8 / 0.4, 0.4, first_pull=0.0),
    ),
    "ipfl as for language models": (
        "proximal_centre",
        IPFL | {"prox_scaling": "plain"},
        lambda w: proximal(w, cosine_gradient(w), 2 * 0.8, 0.4),
    ),
    "ipfl by squared distance": (
        "proximal_centre",
        {"dissimilarity_penalty": 0.02, "prox_step": 0.01, "distance": "squared_l2"},
        lambda w: proximal(w, squared_gradient, 0.02 / 0.01, 0.01),
    ),
}


def models_of(running):
    return running._models.used(work().owner).double().numpy()


@pytest.mark.parametrize("name", CASES)
def test_a_method_is_what_its_paper_says(name):
    method, params, reference = CASES[name]
    running = personal(method, "softmax", plan=PLAN, params=params)
    initial = running._workshop.initial.double().numpy()
    for counter in range(ROUNDS):
        cohort = work()
        sent = running.uploads(cohort, counter, float("nan"))
        running.exchange(sent, cohort, N, BOUGHT if method == "proximal_centre" else everybody(), counter)
    found, expected = models_of(running), np.array(reference(initial))
    assert np.abs(found - expected).max() < 2e-5 * max(1.0, np.abs(expected).max())
    alone = np.array(local(initial))
    assert method == "local" or np.abs(found - alone).max() > 1e-2, "as good as no collaboration at all"


def test_every_registered_method_has_a_reference():
    from learning.personalization import PERSONALIZATION

    assert {method for method, _, _ in CASES.values()} == set(PERSONALIZATION)
