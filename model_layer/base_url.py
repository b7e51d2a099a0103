"""Which base URLs a deployment may name. Pure; resolves nothing."""

import ipaddress
from urllib.parse import urlsplit


def check_base_url(url: str, *, allow_http: bool) -> str | None:
    """None if usable, else what is wrong and what to do. Never repeats the URL: it may hold credentials."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL. Write it as https://host[:port]/v1."
    if parts.scheme not in {"http", "https"} or not host:
        return "is not an http or https URL. Write it as https://host[:port]/v1."
    if parts.username is not None or parts.password is not None:
        return "holds credentials. Put the key into an environment variable and name it in `key_env`."
    if parts.query or parts.fragment:
        return "has a query or fragment. End it with its path, for example /v1."
    if parts.scheme == "http" and not allow_http and not _is_loopback(host):
        return (
            "is http to another host: prompts and key would travel unencrypted. "
            "Use https, or write allow_http = true if that network is trusted."
        )
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
