"""Physics: data, partition, models, training of many owners at once, aggregation and contribution. No money here."""
