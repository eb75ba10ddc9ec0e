"""One module a command: `arguments(parser)` names its options, `run(arguments)` does it and answers the exit status.

Only the command that is asked for is imported, and it imports its engine only in `run`, so that --help is quick.
"""
