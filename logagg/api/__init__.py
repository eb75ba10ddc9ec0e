"""The web role: pages for people and JSON for programs over one store, which it only reads.

The way of a request:

    server.py    the socket; Uvicorn runs until it is told to stop
    guard.py     host name, method, token or cookie (auth.py), and the headers of every answer
    app.py       the routes; views run in threads, with a time limit; errors become answers (problem.py)
    pages.py     HTML: events, incidents, sources, raw context; files.py: the archive and the pages' own files
    rest.py      JSON under /api/v1, from the one table of operations that openapi.py describes (params.py)
    live.py      what the live page shows; hub.py sends it to every browser that looks, when it has changed
    metrics.py   the program's own state for Prometheus

Beneath them events.py, incidents.py and sources.py ask the store in pages of bounded cost.
"""
