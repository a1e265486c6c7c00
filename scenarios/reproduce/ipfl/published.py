"""What was published: Zhang, Chai, Ye, Wang, Chen 2025, Nature Communications 16:7923, figures 2 and 5.

Accuracies in percent and utilities (sum over 50 rounds, mean over clients, money) are read off figure 2, to about 0.05
in utility. The nine methods stand in the paper's order.
"""

from __future__ import annotations

from typing import NamedTuple

METHODS = ("Local", "FedAvg", "FedProx", "Ditto", "FedAMP", "CFL", "FedFomo", "pFedGraph", "iPFL")
ROUNDS = 50
"""Rounds that a published utility is the sum of."""

READ_OFF = 0.1
"""One unit of the last digit of a utility in figure 2."""


class Point(NamedTuple):
    """One method in one setting."""

    accuracy: float
    utility: float


FIGURE_2: dict[str, dict[str, Point]] = {
    setting: {method: Point(*row) for method, row in zip(METHODS, rows, strict=True)}
    for setting, rows in {
        "CIFAR-10 NIID": (
            (79.45, 0.0), (56.76, -38.0), (57.28, -38.0), (81.44, -38.0), (80.33, -38.0), (80.67, 148.1),
            (79.69, 113.2), (81.32, -3.3), (79.65, 162.7),
        ),
        "CIFAR-10 Cluster": (
            (78.00, 0.0), (57.44, -75.6), (54.77, -75.6), (80.97, -75.6), (78.25, -75.6), (80.29, 68.6),
            (77.72, 37.2), (81.17, 106.8), (80.53, 110.6),
        ),
        "CIFAR-10 Skew": (
            (69.70, 0.0), (73.76, -108.1), (73.27, -108.1), (75.92, -108.1), (72.00, -108.1), (74.46, 77.6),
            (70.05, 40.9), (75.90, 76.4), (73.79, 111.3),
        ),
    }.items()
}  # fmt: skip
"""By setting and method; the other six settings were published as a picture only."""

INSTRUCTED = ("Local", "FedAvg", "FedProx", "FedAMP", "CFL", "pFedGraph", "iPFL")
"""Methods of the table of language models; Ditto and FedFomo are not in it."""

LEADS: dict[str, dict[str, dict[str, tuple[float, float]]]] = {
    "Mix-Finance": {
        "FIQA": {"Mistral": (87.65, 87.64), "TinyLlama": (83.64, 82.19), "Llama2": (85.11, 85.47)},
        "TFNS": {"Mistral": (83.83, 84.83), "TinyLlama": (80.67, 78.17), "Llama2": (81.25, 83.38)},
        "NWGI": {"Mistral": (58.59, 58.67), "TinyLlama": (53.25, 50.42), "Llama2": (52.44, 56.25)},
    },
    "Code&Finance": {"Code": {"Llama2": (15.00, 15.85)}, "NWGI": {"Llama2": (52.28, 53.11)}},
}
"""Table 1: accuracy, or pass rate of code, in percent, by setting, data set and base model: best other, then iPFL."""

MIX_UTILITY = {"FedAvg": 45.9, "iPFL": 96.5}
"""Mix-Finance: what methods in which everybody uses everybody have, and iPFL. Exact is 96.447 for a twin each."""

EDGES_5 = (
    (2, 4, 26.11), (3, 4, 24.73), (4, 1, 54.73), (2, 1, 24.66), (3, 1, 23.29), (9, 11, 44.99),
    (5, 8, 9.05), (5, 6, 11.84), (5, 7, 14.95), (7, 8, 10.99), (7, 6, 14.29), (10, 11, 59.36),
)  # fmt: skip
"""Figure 5: payer, payee, money over 20 rounds; clients are counted from 1."""

NET_5 = {
    1: 102.68, 2: -50.77, 3: -48.02, 4: -3.89, 5: -35.84, 6: 26.13, 7: -10.33, 8: 26.12, 9: -44.99, 10: -59.36,
    11: 104.35, 12: 0.0,
}  # fmt: skip
"""Figure 5: received less paid, by client, as labelled. Client 8 cannot have earned what its label says."""

MISPRINTED_5 = 8

ROLES_5 = {
    "trader": (4, 5, 7),
    "buyer": (2, 3, 9, 10),
    "seller": (1, 6, 8, 11),
    "attacker": (12,),
}
CLUSTERS_5 = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12))
"""By the edges; client 12 has none, and is of the third cluster by the partition."""

ROUNDS_5 = 20

SIZE_LIES, COST_LIES = (0.1, 0.5, 10.0), (2.0, 5.0, 10.0)
"""Factors on the reported size and cost that the paper tried: "every lie leaves the liar with lower utility"."""
