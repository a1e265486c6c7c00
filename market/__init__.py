"""Rules: mechanisms, ledger, enforcement, collaboration graph and property checks. No clock and no agents here."""
