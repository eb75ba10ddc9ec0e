"""The demo: days of realistic logs with known incidents, read, folded and reported as a real installation would.

    days.py        the demo's local days: load curve, DST, weekend
    incidents.py   what goes wrong, when; and the truth about it
    texts.py       operations, codes, noise, stack traces, hostile strings
    calls.py       a day of call flows (xivr, mpp)
    machines.py    a day of VIP server, dialer and machine monitor
    files.py       entries -> log files with their layouts and rotations
    logs.py        all of them -> logs/ and truth.json
    settings.py    the logagg.toml of the demo
    live.py        the applications go on writing, today and now
    alone.py       one demo at a time in a folder
    folder.py      run_demo: the whole demo in one folder; serve_demo: its live part

Nothing here is imported by the product itself but by the command ``demo``.
"""

from logagg.demo.folder import DemoResult, run_demo, serve_demo

__all__ = ["DemoResult", "run_demo", "serve_demo"]
