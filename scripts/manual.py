#!/usr/bin/env python3
"""Compare docs/configuration.md with what the options' own list says now; with --write, write it anew.

    python scripts/manual.py [--write]
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from logagg.config.schema import options_table  # noqa: E402

PAGE = ROOT / "docs" / "configuration.md"
HEAD = """\
# Configuration

<!-- Written by scripts/manual.py from logagg/config/fields.py: change the options there, then run it with --write. -->

One TOML file. logagg takes the file given with `-c`, else `./logagg.toml`, else `logagg/logagg.toml` in the user's
configuration folder (`~/.config`), else in the system's (`/etc`). Relative paths in it are relative to its folder.

```toml
[store]
url = "sqlite:///logagg.db"

[[source]]
app = "das"
paths = ["/var/log/das/*.log*"]
layout = "%d{ISO8601} %-5p [%t] %c - %m%n"
timezone = "America/New_York"
packs = ["callcenter"]

[[report]]
name = "operations"
```

`logagg init` writes a commented file to begin with. `logagg check` tells all mistakes at once, each with its place and
a way out, and which files the globs match now. `logagg check --schema` prints the JSON Schema for editors.

The default zone is the machine's. Most options have a default, shown below; a text may stand where a list of one is
meant.

## Options

"""


def manual() -> str:
    """The page's text."""
    return HEAD + options_table().rstrip("\n") + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the page anew; look at the difference")
    write = parser.parse_args().write
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == manual():
        return 0
    if write:
        PAGE.write_text(manual(), encoding="utf-8")
    print(f"{'written' if write else 'differs'}: {PAGE.relative_to(ROOT).as_posix()}")
    return 0 if write else 1


if __name__ == "__main__":
    sys.exit(main())
