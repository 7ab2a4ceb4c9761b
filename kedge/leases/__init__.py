"""Leases: how a run that died without a word is told from one that only takes long (docs/adr/0008).

A run's process holds a lease for as long as it lives. Nothing here reads a wall clock.
"""

from kedge.leases.lease import Sight, drop, hold, look, names
from kedge.leases.verdict import Death, Instant, Sighting, Watch, judge

__all__ = ["Death", "Instant", "Sight", "Sighting", "Watch", "drop", "hold", "judge", "look", "names"]
