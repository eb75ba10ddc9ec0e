#!/usr/bin/env python3
"""How long an alert takes: from a single last line written into a quiet file to the SMTP server's acceptance.

    scripts/bench_alerts.py [--trials 100]

`logagg run` and the mail server (aiosmtpd) are processes of their own; the store is SQLite in a temporary folder.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from tests.alerting import Vip  # noqa: E402
from tests.service import Service  # noqa: E402
from tests.smtpd import Server  # noqa: E402
from tests.waiting import until  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory(prefix="logagg-alerts-") as name:
        folder = Path(name)
        (folder / "smtpd").mkdir()
        with Server(folder / "smtpd") as server:
            vip = Vip(folder, server, f"sqlite:///{folder / 'logagg.db'}")
            with Service(vip.config, "--roles", "agent,aggregator") as service:
                for pid in range(trials + 1):
                    vip.stops(pid)
                    until(lambda pid=pid: service.holds(pid in vip.mailed()), f"the mail about {pid}")
                service.stop()
        mailed = vip.mailed()
    times_ms = sorted((mailed[pid][0][0] - vip.written_us[pid]) / 1000 for pid in range(1, trials + 1))
    p95, p99 = (times_ms[max(0, int(trials * share) - 1)] for share in (0.95, 0.99))
    print(f"{trials} trials: median {statistics.median(times_ms):.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms, "
          f"most {times_ms[-1]:.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
