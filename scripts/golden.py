#!/usr/bin/env python3
"""Compare the report's golden files with what is built now; with --write, write them anew. CI never writes.

    python scripts/golden.py [--write]
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.unit.test_render import GOLDEN, golden_files  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the golden files anew; look at the difference")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as folder:
        contents = golden_files(Path(folder))
    differing = []
    for name, content in contents.items():
        golden = GOLDEN / name
        if not golden.is_file() or golden.read_bytes() != content:
            differing.append(golden.relative_to(ROOT).as_posix())
            if write:
                GOLDEN.mkdir(parents=True, exist_ok=True)
                golden.write_bytes(content)
    for name in differing:
        print(f"{'written' if write else 'differs'}: {name}")
    return 1 if differing and not write else 0


if __name__ == "__main__":
    sys.exit(main())
