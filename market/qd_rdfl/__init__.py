"""QD-RDFL: a model owner pays data owners for data of known quality, and they pay computing centers to train on it.

Three layers of a Stackelberg game, solved from the last to the first: ``centers`` (who computes how much), ``contest``
(how much data each owner contributes for a given reward) and ``leader`` (the reward); ``equilibrium`` puts them
together. Paper: "Data Assetization via Resources-decoupled Federated Learning", arXiv 2501.14588.
"""
