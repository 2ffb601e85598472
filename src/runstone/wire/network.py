"""How the target is reached: whose certificates are trusted, which one this side shows, by which proxy."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
import msgspec

from runstone.errors import UsageError

SURROUNDINGS: Final = "env"  # as `proxy`: what HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say


class BadNetwork(UsageError):  # noqa: N818 - named as what it reports
    """A certificate, a key or a proxy that cannot be used; the message names it."""


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the user says of the way to the target.

    `ca_file`: the authorities that are trusted, in PEM form, instead of the public ones. `client_cert` and
    `client_key`: what this side shows; without a key it is in the file of the certificate. `insecure`: no
    certificate is checked. `proxy`: a URL, or `env`.
    """

    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    insecure: bool = False
    proxy: str | None = None

    def check(self, url: str) -> None:
        """Raises BadNetwork for what contradicts itself, or cannot be used to reach this URL."""
        if self.insecure and self.ca_file:
            raise BadNetwork("--ca-file says whom to trust and --insecure trusts everybody; give one of them")
        if self.client_key and not self.client_cert:
            raise BadNetwork("--client-key lacks its certificate; give it by --client-cert")
        self.proxy_for(url)
        if self.ca_file or self.client_cert:
            self._trust()

    def marks(self, url: str) -> bool:
        """Whether nobody has checked that it is the server of this URL that answers."""
        return self.insecure and url.startswith("https:")

    def trust(self, url: str) -> ssl.SSLContext:
        """The context for TLS with this URL; it takes 20 ms, so clients share it. Raises BadNetwork."""
        return self._trust() if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def _trust(self) -> ssl.SSLContext:
        if self.insecure:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.ca_file:
            context = _trusting(self.ca_file)
        else:
            context = httpx.create_ssl_context(trust_env=False)
        if self.client_cert:
            _show(context, self.client_cert, self.client_key)
        return context

    def proxy_for(self, url: str) -> str | None:
        """The proxy by which this URL is reached; None for none. Raises BadNetwork, without any password."""
        if self.proxy != SURROUNDINGS:
            return None if self.proxy is None else _checked_proxy("--proxy", self.proxy)
        parts, known = urlsplit(url), getproxies()
        name = next((name for name in (parts.scheme, "all") if name in known), None)
        if name is None or proxy_bypass(parts.netloc.rpartition("@")[2]):
            return None
        return _checked_proxy(f"{name.upper()}_PROXY", known[name])


def _trusting(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise BadNetwork(f"{ca_file} (--ca-file) holds no certificate in PEM form") from None
    except OSError as error:
        raise BadNetwork(f"cannot read {ca_file} (--ca-file): {error.strerror}") from None


def _show(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    """Let the context show a certificate. A key with a passphrase would ask for it on the terminal."""

    def no_passphrase() -> NoReturn:
        raise BadNetwork(f"{key or certificate} (--client-key) has a passphrase; give a key without one")

    for option, path in (("--client-cert", certificate), ("--client-key", key)):
        if path is not None and not os.access(path, os.R_OK):
            why = "it cannot be read" if Path(path).exists() else "there is no such file"
            raise BadNetwork(f"{path} ({option}): {why}")
    try:
        context.load_cert_chain(certificate, key, no_passphrase)
    except ssl.SSLError as error:
        where = f"{certificate} (--client-cert)" + (f" and {key} (--client-key)" if key else "")
        if error.reason == "KEY_VALUES_MISMATCH":
            raise BadNetwork(f"the certificate and the key do not belong together: {where}") from None
        raise BadNetwork(f"no certificate with its key in PEM form: {where}") from None


def _checked_proxy(name: str, text: str) -> str:
    text = text if "://" in text else f"http://{text}"
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host:
        raise BadNetwork(f"{name} is not a proxy like http://127.0.0.1:3128 (only http and https are spoken)")
    return text
