"""Random rivals in training, the reference instance of the field, and every formula once more without columns."""

from __future__ import annotations

from math import fsum

import numpy as np

from learning.heterogeneity import emd
from market.cocogen import Game, LearningCurve, Organisations, filling, towards_global

PRESETS = {"easy": (0.847, 0.209, 0.063), "hard": (2.56, 0.215, 0.285)}
"""Volume scale, volume exponent and EMD penalty of a task like Fashion-MNIST and of one like CIFAR-10."""
CLASSES = 10


def label_counts(chance, organisations, dirichlet_alpha, total=20_000, floor=200):
    """Samples per organisation and class: each class dealt by a Dirichlet draw, a floor for every organisation."""
    counts = np.stack([chance.dirichlet(np.full(organisations, dirichlet_alpha)) for _ in range(CLASSES)], axis=1)
    counts *= total / CLASSES
    short = np.maximum(floor - counts.sum(axis=1, keepdims=True), 0.0)
    return counts + short / CLASSES


def default_game(
    seed,
    *,
    task="easy",
    dirichlet_alpha=0.5,
    mean_competition=0.02,
    model="relative",
    rate=0.0,
    cost_factor=1.0,
    organisations=10,
    total=20_000,
    target="global",
    **more,
):
    """The published kind of instance: ten organisations, 20,000 samples, interior equilibria."""
    chance = np.random.default_rng(seed)
    counts = label_counts(chance, organisations, dirichlet_alpha, total)
    size = counts.sum(axis=1)
    mixes, fair = counts / size[:, None], np.full(CLASSES, 1.0 / CLASSES)
    profitability = chance.uniform(1000.0, 2500.0, organisations)
    unit_cost = 0.01 * chance.uniform(0.5, 1.5, organisations) * cost_factor
    competition = 2.0 * mean_competition * chance.random((organisations, organisations))
    competition = 0.5 * (competition + competition.T)
    np.fill_diagonal(competition, 0.0)
    personal = {"relative": 0.05, "damage": 0.0}[model]
    return Game(
        Organisations(
            data_size=size,
            residual_emd=towards_global(emd(mixes, fair)) if target == "global" else filling(mixes, fair),
            profitability=profitability,
            unit_cost=unit_cost,
            quadratic_cost=np.full(organisations, more.pop("quadratic_cost", 0.0)),
            synthetic_volume_cap=np.full(organisations, more.pop("cap", 4000.0)),
        ),
        competition,
        LearningCurve(*PRESETS[task], personal_gain=more.pop("personal_gain", personal), **more),
        model,
        rate,
    )


def random_game(seed, model="relative", *, quadratic=False, decay=False, contribution="synthetic", target="global"):
    """Anything goes: 1 to 8 organisations, asymmetric competition, redistribution, caps that bind or not."""
    chance = np.random.default_rng(seed)
    count = int(chance.integers(1, 9))
    profitability = chance.uniform(1000, 2500, count)
    mixes = chance.dirichlet(np.full(4, 0.4), count)
    fair = chance.dirichlet(np.full(4, 3.0))
    competition = chance.uniform(0.0, 0.1, (count, count)) * (chance.random((count, count)) < 0.7)
    np.fill_diagonal(competition, 0.0)
    if model == "damage":  # at most so much that some weight is near 0, and none below
        competition /= max(1.0, float((competition @ profitability / profitability).max()) / 0.9)
    organisations = Organisations(
        data_size=np.exp(chance.uniform(np.log(50), np.log(5000), count)),
        residual_emd=towards_global(emd(mixes, fair)) if target == "global" else filling(mixes, fair),
        profitability=profitability,
        unit_cost=np.exp(chance.uniform(np.log(0.005), np.log(1.0), count)),
        quadratic_cost=chance.uniform(0, 1e-4, count) * (chance.random(count) < 0.8) * quadratic,
        synthetic_volume_cap=np.exp(chance.uniform(np.log(100), np.log(10_000), count)),
    )
    curve = LearningCurve(
        volume_scale=chance.uniform(0.5, 3.0),
        volume_exponent=chance.uniform(0.1, 0.6),
        emd_penalty=chance.uniform(0.02, 0.4),
        synthetic_quality=chance.uniform(0.2, 1.0),
        quality_decay=chance.uniform(0.0, 1.0) * decay,
        personal_gain=chance.uniform(0.0, 0.1),
    )
    return Game(organisations, competition, curve, model, float(chance.uniform(0, 0.05)), contribution)


def plain_utilities(game, volume):
    """Every utility, written out sum by sum for a game whose synthetic labels follow the global law."""
    o, c = game.organisations, game.curve
    size, gamma, p = o.data_size.tolist(), np.asarray(game.competition).tolist(), o.profitability.tolist()
    distance, everybody = o.residual_emd.before.tolist(), range(len(game))

    def worth(i, g):
        return c.synthetic_quality * g * (1 - c.quality_decay * g / (size[i] + g))

    def common(g):
        total = fsum(size[j] + worth(j, g[j]) for j in everybody)
        apart = fsum(size[j] / fsum(size) * distance[j] * size[j] / (size[j] + g[j]) for j in everybody)
        return -c.volume_scale * total**-c.volume_exponent - c.emd_penalty * apart

    def own(i, g):
        return -c.personal_gain * distance[i] * size[i] / (size[i] + g[i])

    def loss(i, g):
        if game.competition_model == "relative":
            return fsum(gamma[i][j] * p[j] * (own(j, g) - own(i, g)) for j in everybody)
        absent = [0.0 if j == i else g[j] for j in everybody]
        return fsum(gamma[i][j] * p[j] for j in everybody) * (common(g) - common(absent))

    def counted(i, g):
        return g[i] if game.contribution == "synthetic" else size[i] + worth(i, g[i])

    def transfer(i, g):
        rate = game.redistribution_rate
        return rate * fsum(gamma[i][j] * counted(i, g) - gamma[j][i] * counted(j, g) for j in everybody)

    def cost(i, g):
        return float(o.unit_cost[i]) * g[i] + 0.5 * float(o.quadratic_cost[i]) * g[i] ** 2

    g = [float(amount) for amount in volume]
    return np.array([p[i] * (common(g) + own(i, g)) - cost(i, g) - loss(i, g) + transfer(i, g) for i in everybody])
