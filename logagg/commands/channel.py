"""`logagg channel`."""

import argparse
from typing import TYPE_CHECKING, Any

from logagg.commands.options import add_json, print_json

if TYPE_CHECKING:
    from logagg.config import Config
    from logagg.config.model import ChannelConfig, SmtpConfig

EXAMPLES = """\
examples:
  logagg channel test ops              send a test message to everybody in the channel "ops"
  logagg channel test ops --json

The message is sent at once and not through the outbox; what the server answers is printed for each recipient.
exit status: 0 the server accepted all; 1 it did not; 2 there is no such channel, or the configuration is wrong
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    test = actions.add_parser("test", help="send a test message and say what the server answers", epilog=EXAMPLES)
    test.add_argument("name", metavar="NAME", help="the channel's name in the configuration")
    add_json(test)


def run(arguments: argparse.Namespace) -> int:
    from logagg.commands.opening import config_of

    config = config_of(arguments)
    assert config is not None
    channel, smtp = _chosen(config, arguments.name)
    results = _test(channel, smtp)
    if arguments.json:
        print_json({"channel": channel.name, "server": f"{smtp.host}:{smtp.port}", "results": results})
    else:
        _print(results, f"{smtp.host}:{smtp.port}")
    return 0 if all(result["outcome"] == "accepted" for result in results) else 1


def _chosen(config: "Config", name: str) -> "tuple[ChannelConfig, SmtpConfig]":
    from logagg.errors import ConfigError, UsageError
    from logagg.terminal import safe_line

    channel = next((one for one in config.channels if one.name == name), None)
    if channel is None:
        known = ", ".join(safe_line(one.name) for one in config.channels)
        raise UsageError(f"there is no channel {safe_line(name)!r}; " + (
            f"the configuration has: {known}" if known else "the configuration has no [[channel]] table"))
    if config.smtp is None:
        raise ConfigError([f"{config.path}: channel {safe_line(name)!r} sends mail, but there is no [smtp] table; "
                           'add [smtp] with host = "mail.example.com" and from = "logagg@example.com"'])
    return channel, config.smtp


def _test(channel: "ChannelConfig", smtp: "SmtpConfig") -> list[dict[str, Any]]:
    """One message for each recipient over one connection; what came of each."""
    from logagg.clock import SystemClock
    from logagg.notify.email import EmailChannel
    from logagg.notify.trial import trial

    email = EmailChannel(smtp)
    try:
        answers = [(to, email.send(trial(channel.name, to, smtp.sender, SystemClock().now_us()))) for to in channel.to]
    finally:
        email.rest()
    return [{"to": to, "outcome": answer.outcome, "answer": answer.text} for to, answer in answers]


_SAID = {"accepted": "accepted", "refused": "refused", "later": "not accepted", "unknown": "not certain"}


def _print(results: list[dict[str, Any]], server: str) -> None:
    from logagg.terminal import safe_line, say

    for result in results:
        print(f"{safe_line(result['to'])}: {_SAID[result['outcome']]}: {safe_line(result['answer'])}")
    failed = sum(result["outcome"] != "accepted" for result in results)
    say(f"{server} did not accept {failed} of {len(results)} messages" if failed
        else f"{server} accepted {len(results)} message{'s' * (len(results) != 1)}; look into the mailbox")
