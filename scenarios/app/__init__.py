"""The browser view: watch a market live, turn its levers, compare two worlds (the extra ``app``)."""
