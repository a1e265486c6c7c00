"""People: data owners with their strategies, the model owner, computing centers and the regulator."""
