"""gather → decide → act → report, again and again, for all fleets of a broker.

    BrokerReader ──▶ observe ──▶ decide ──▶ carry_out ──▶ Reporter
    (one round trip    (pure)     (pure)    (leases, fleet)
     for all fleets)

A tick is due every few seconds, and at once for a fleet whose queue the broker
says has changed, whose workers changed, or whose last decision named this moment:
``rounds`` says whose turn it is, and ``loop`` takes a look at the broker for all of
them. ``one_fleet`` is the four steps; ``past`` is what they leave to the next time, and
``still`` why most fleets are spared them. ``prefixes`` sees to what fleets share.

The edges are handed in: the operator's fleets are Deployments, local mode's are
processes, and nothing here can tell them apart. One fleet's failure is told and
stays its own; a broker that is down is an observation like any other.
"""

from sluiceway.reconcile.edges import Commands, Fleet, Reader, Reporter, Wakes
from sluiceway.reconcile.loop import BrokerLoop
from sluiceway.reconcile.rounds import Pace

__all__ = ["BrokerLoop", "Commands", "Fleet", "Pace", "Reader", "Reporter", "Wakes"]
