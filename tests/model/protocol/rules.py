"""The rules of the protocol, each of which can be left out to see what it is for.

The protocol is what holds with all of them. ``tests/model/test_model_rules.py`` leaves
out one at a time and expects the checker to find what goes wrong without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Whether each rule is kept. The docstrings are the rules."""

    late_replies_are_read: bool = True
    """What a BRPOP brings to a worker that drains, stops or is full is read at once and
    given back; it never waits in the socket for a free slot."""
    late_replies_are_pushed_once: bool = True
    """It is pushed back by a script that leaves a mark, and does nothing where it finds it.
    A bare RPUSH whose answer is lost would be sent again."""
    drained_waits_for_the_reply: bool = True
    """«Drained» is said only when no BRPOP is on its way any more."""
    receipts: bool = True
    """A message is given back, recovered or acknowledged only where ``unacked`` still has
    what this very take left: the tag made for it, or kombu's score. The published tag
    alone survives redelivery and may be somebody else's by now."""
    leases_end: bool = True
    """A drain request ends by itself unless it is renewed."""
    stopping_is_final: bool = True
    """No end of a lease brings a worker back that was told to stop."""
    settles_after_silence: bool = True
    """A worker that lost its connection or was frozen gives back what it has not started,
    and compares what Redis has in its name with what it knows, before it takes, starts or
    says anything. One that has just started looks for what its predecessor held."""
    settling_ends_older_takes: bool = True
    """From a settling on, the script that takes refuses what was sent over an earlier
    connection: it may arrive late, and nobody would hear the answer."""
    runs_survive_a_cut: bool = True
    """When the connection is lost, kombu's restoring of all that the channel held is
    kept from what is still running."""
    renews_what_it_holds: bool = True
    """A worker that is not silent renews the score of all that it holds in
    ``unacked_index``, by one script, so that a visibility timeout passes only for the
    silent, however long a task runs."""
    proof_is_the_containers_end: bool = True
    """The end of a main process, or a new one in its place, proves nothing: its children
    may run on. The end of the whole container does."""
    deletion_proves_nothing: bool = True
    """A deleted Pod object alone is no proof of death."""
    recovery_is_one_script: bool = True
    """For each message, its list, ``unacked`` and the holdings change in one script."""
    burial_looks_again: bool = True
    """Recovery for silence alone asks in its own script whether the heartbeat is still
    missing; it does not act on what was read before."""
    finished_is_told: bool = True
    """A message whose run is known to have finished is acknowledged by whoever recovers it,
    or takes it by script."""
    blames_only_crashes: bool = True
    """Deaths by eviction, node loss or forced deletion count against no message."""
    suspects_run_alone: bool = True
    """Before the death that would make a message a dead letter, it runs alone: what is
    held for an ETA and comes due beside it is given back."""
    suspects_stay_in_their_list: bool = True
    """The script that takes for a worker at work leaves a suspect where it is. Held for a
    moment only to be put back, it would share in a death at that moment."""
    parks_the_future: bool = True
    """A message with a far ETA is parked instead of going back to its list."""
    parks_while_stood_by: bool = True
    """The script that parks does so only while somebody stands by who starts workers."""
    release_is_one_script: bool = True
    """Parked messages are released by a script that moves, not by a read and a write."""
    counts_who_is_going: bool = True
    """Replicas are lowered only when no pod of an earlier lowering is still there."""
    recalls_who_stays: bool = True
    """Nobody is recalled while a lowering that may mean it is under way."""
    lowering_carries_its_version: bool = True
    """A scale write is refused when the object has changed since it was decided."""
    takeover_writes_first: bool = True
    """A new leader writes to the scale object before it does anything else: a version
    refuses its predecessor's last write only where something was written since."""
    leases_carry_the_epoch: bool = True
    """Setting and deleting a lease is refused for an older leader than Redis knows of,
    and a new one makes itself known first."""

    def without(self, *names: str) -> Rules:
        """The same without these."""
        return replace(self, **dict.fromkeys(names, False))
