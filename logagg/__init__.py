"""logagg turns the logs that applications already write into alerts, reports and answers.

The way of a line, one file a step:

    source/tail.py       follows the files through their rotations and hands on blocks of bytes
    ingest.py            block -> parse -> commit; one transaction, exactly once
    reading.py           block -> chunks: records, events and partials, a function of the bytes
    grammar/reader.py    block -> batch of records, by a layout (grammar/pattern.py, detect.py)
    grammar/events.py    batch -> typed events, by a pack's Lark grammar
    rollup/partial.py    batch and events -> the chunk's partials
    store/sqlite.py      (or store/mongo.py) keeps streams, chunks, events and partials
    rollup/fold.py       partials -> minute, hour, day, week and month
    alert/engine.py      rules over minutes -> incidents
    notify/outbox.py     incidents and reports -> mail (notify/sender.py, email.py)
    report/build.py      rollups -> report (schedule.py says when, archive.py where)
    api/app.py           all of it -> live page, events, REST

``record.py`` holds what passes between the steps, ``interfaces.py`` the contracts of what can be
plugged in, ``app.py`` (with ``aggregator.py`` and ``publisher.py``) wires them, ``cli.py`` is the command.
"""

from logagg.version import __version__

__all__ = ["__version__"]
