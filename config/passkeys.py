"""Where passkeys work: the origin that browsers see."""

from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def passkey_origin(public_url: str) -> str:
    """Return the origin that passkeys are bound to, for the address that customers use.

    Browsers refuse passkeys on addresses, and over plain HTTP anywhere but on localhost: the loopback addresses become
    ``localhost``, and everything else HTTPS, so that on a server without TLS passkeys are not offered.
    """
    parts = urlsplit(public_url)
    host = parts.hostname or "localhost"
    scheme = parts.scheme
    if host in LOOPBACK:
        host = "localhost"
    else:
        scheme = "https"
    return f"{scheme}://{host}" + (f":{parts.port}" if parts.port else "")
