"""What can go wrong in a market, each kind a small class of its own; importing this fills the registry ``FAULTS``."""

from scenarios.faults import messages, outages
from scenarios.faults.base import FAULTS

__all__ = ["FAULTS", "messages", "outages"]
