"""Values -> where the web role listens, and who may read there."""

import ipaddress
from pathlib import Path

from logagg.config.forms import listen_parts, quoted
from logagg.config.model import WebConfig
from logagg.config.validate import Problems, Values


def web(values: Values, folder: Path, problems: Problems) -> WebConfig:
    host, port = listen_parts(values["listen"]) or ("127.0.0.1", 8470)
    if not is_loopback(host) and not values["token_file"] and not values["insecure"]:
        problems.add(("web", "listen"), f"{quoted(values['listen'])} can be reached from other machines, so it needs "
                     "token_file, or insecure = true to let everybody in")
    token_file, url = values["token_file"], values["public_url"]
    return WebConfig(
        host=host, port=port, token_file=folder / Path(token_file).expanduser() if token_file else None,
        insecure=values["insecure"], public_url=url.rstrip("/") if url else None,
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
