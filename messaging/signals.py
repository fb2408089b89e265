"""Signals: what has just happened on an event's way, for whoever counts, traces or reacts.

    from messaging import applied

    @receiver(applied)
    def count(sender, events, **_): ...

Each is sent after the commit that it tells of, in the thread that committed, by `send_robust`: a
receiver that raises is logged (`django.dispatch`), and delivery goes on. It goes on only behind the
receiver, so one that is slow slows delivery. A process that dies between the two sends none: they
are for figures and hints, and no second way by which events are delivered. Take `**_`: arguments
may be added. docs/reference.md says which there are.
"""

from django.dispatch import Signal

stored = Signal()  # sender: the command's class; command, context, result
published = Signal()  # sender: Relay; messages, places, took_s
applied = Signal()  # sender: the projection; generation, events, took_s
parked = Signal()  # sender: the projection; generation, events
halted = Signal()  # sender: the projection; generation, partition, reason
switched = Signal()  # sender: the projection; generation
leader_changed = Signal()  # sender: Relay or Consumer; role, active
