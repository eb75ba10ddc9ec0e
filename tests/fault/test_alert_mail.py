"""From a written line to a mail, whatever happens to the mail server and to logagg in between."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alerting import Vip
from tests.service import Service, stored_streams
from tests.smtpd import Server
from tests.waiting import until

ROLES = ("--roles", "agent,aggregator")


@pytest.fixture
def vip(tmp_path: Path) -> Iterator[Vip]:
    (tmp_path / "smtpd").mkdir()
    with Server(tmp_path / "smtpd") as server:
        yield Vip(tmp_path, server, f"sqlite:///{tmp_path / 'logagg.db'}")


def begin(vip: Vip, service: Service) -> None:
    """Wait until the first line has been read, so that what follows is a line in a quiet file."""
    vip.stops(0)
    url = f"sqlite:///{vip.config.parent / 'logagg.db'}"
    until(lambda: service.holds(bool(stored_streams(url)) and 0 in vip.mailed()), "the first mail")


def test_each_line_one_mail(vip: Vip) -> None:
    """A single last line in a quiet file is told of at once; each once."""
    with Service(vip.config, *ROLES) as service:
        begin(vip, service)
        for pid in range(1, 11):
            vip.stops(pid)
            until(lambda pid=pid: service.holds(pid in vip.mailed()), f"the mail about {pid}", 20)
        assert service.stop() == 0, service.messages()
    assert {pid: len(mails) for pid, mails in vip.mailed().items()} == dict.fromkeys(range(11), 1)


def test_mail_server_refuses_hangs_and_is_down(vip: Vip) -> None:
    """Every mail arrives when the server is itself again; a duplicate only with the same Message-ID."""
    with Service(vip.config, *ROLES) as service:
        begin(vip, service)
        vip.server.mode(data="451 4.3.0 try again")
        vip.stops(1)
        vip.server.mode(mail="hang")
        vip.stops(2)
        vip.server.stop()
        vip.stops(3)
        vip.server.mode()
        vip.server.start()
        vip.stops(4)
        until(lambda: service.holds(vip.mailed().keys() >= {1, 2, 3, 4}), "all four mails", 150)
        assert service.stop() == 0, service.messages()
    check_ids(vip, range(5))


def check_ids(vip: Vip, pids: range) -> None:
    mailed = vip.mailed()
    assert mailed.keys() == set(pids)
    for pid, mails in mailed.items():
        assert len({id for _, id in mails}) == 1, f"{pid} was told of under several Message-IDs: {mails}"


@pytest.mark.parametrize("kills", [12, pytest.param(100, marks=pytest.mark.soak)])
def test_killed_at_random(vip: Vip, kills: int) -> None:
    """kill -9 during reading, evaluation and sending: each incident is told of; twice only under one Message-ID."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with Service(vip.config, *ROLES) as service:
        begin(vip, service)
        for kill in range(1, kills + 1):
            vip.stops(kill)
            end_us = vip.written_us[kill] + chance.randrange(1_200_000)
            until(lambda end_us=end_us: time.time_ns() // 1000 >= end_us, "a random moment", 5)
            service.kill()
            service.start()
        until(lambda: service.holds(vip.mailed().keys() >= set(range(kills + 1))), "a mail for each line", 240)
        assert service.stop() == 0, service.messages()
    check_ids(vip, range(kills + 1))


