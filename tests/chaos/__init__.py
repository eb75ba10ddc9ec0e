"""Random faults against a model of what the applications wrote: every byte is stored once, or counted as lost.

    schedule.py   a seed -> a list of named actions with their parameters; a failing list -> the shortest that fails
    written.py    the applications: what they wrote, into which files, and what of it a reader can still get
    stores.py     real stores (SQLite, MongoDB) that can be out of reach, slow, full, or the end of their client
    world.py      the applications' files, agents and a store under one stepped clock; an action is a method
    victim.py     an agent in a process of its own that is killed by a real SIGKILL
    verdict.py    what is stored, against what was written

`tests/fault/test_chaos.py` runs some schedules, `scripts/soak.py` as many as it is told.
"""
