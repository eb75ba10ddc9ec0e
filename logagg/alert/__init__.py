"""From rollups to incidents.

    words.py     "5m", "06:30", "08:00-20:00", "mon-fri" -> numbers
    rule.py      [[rule]] -> Rule, and the counters that it needs
    window.py    counts by the minute -> in which minutes a rule's condition holds, and when something is due
    state.py     the life of an incident, step by step: pure
    changes.py   which minutes were rolled up anew, and how far the sources have been read
    evidence.py  the exact times and the records behind an incident
    incident.py  what is stored of an incident
    engine.py    puts these together, writes incidents, hands them to the notifier
"""
