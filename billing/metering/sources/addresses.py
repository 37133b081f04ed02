"""Addresses of pull sources: which may be used, and how secrets get into them without being kept or shown.

A secret is written as ${PULL_NAME} and comes from the environment variable of that name. Other variables cannot be
named, so that no address can carry the installation's own secrets away.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from billing.metering.sources.errors import RefusedAddress, UnsetVariable

PREFIX: Final = "PULL_"
_PLACEHOLDER: Final = re.compile(r"\$\{([^}]*)\}")
_SECRET_NAME: Final = re.compile(r"pass|secret|token|key|credential", re.IGNORECASE)
_POSITION: Final = re.compile(r"(?<![:\w]):position\b")
DATABASES: Final = ("postgres", "postgresql")


class Secrets:
    """Fills ${PULL_NAME} in, and takes the values out of what is shown."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.used: dict[str, str] = {}

    def fill(self, text: str) -> str:
        """The text with its secrets; UnsetVariable when one is not set."""
        return _PLACEHOLDER.sub(lambda match: self._value(match[1]), text)

    def fill_all(self, value: Any) -> Any:
        """The same for every text within lists and objects."""
        if isinstance(value, str):
            return self.fill(value)
        if isinstance(value, dict):
            return {key: self.fill_all(each) for key, each in value.items()}
        return [self.fill_all(each) for each in value] if isinstance(value, list) else value

    def hide(self, text: str) -> str:
        """The text with every secret's name in place of its value."""
        for name, value in sorted(self.used.items(), key=lambda each: -len(each[1])):
            text = text.replace(value, f"${{{name}}}")
        return text

    def _value(self, name: str) -> str:
        check_placeholder(name)
        if not (value := self.environ.get(name, "")):
            raise UnsetVariable(name)
        self.used[name] = value
        return value


def check_placeholder(name: str) -> None:
    """RefusedAddress for a variable that was not made for this."""
    if not re.fullmatch(PREFIX + r"[A-Z0-9_]+", name):
        raise RefusedAddress(f"${{{name}}} cannot be used: only environment variables named {PREFIX}… in capitals can.")


def check_secrets(address: str, options: Any) -> None:
    """RefusedAddress when a password or key is written out."""
    for name in _PLACEHOLDER.findall(f"{address} {options}"):
        check_placeholder(name)
    credentials = re.match(r"[a-z0-9+]+://([^/@]*)@", address)
    _, colon, password = (credentials[1] if credentials else "").partition(":")
    if colon and not _PLACEHOLDER.fullmatch(password):
        raise RefusedAddress(f"The password is written out; name it as ${{{PREFIX}PASSWORD}} and set that variable.")
    for name, value in re.findall(r"[?&]([^=&]+)=([^&]*)", address):
        _check_option(name, value)
    if not isinstance(options, dict):
        raise RefusedAddress('Options are a JSON object, such as {"anon": true}.')
    _check_options(options)


def _check_options(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if isinstance(value, dict):
            _check_options(value)
        else:
            _check_option(name, value)


def _check_option(name: str, value: Any) -> None:
    """RefusedAddress when an option that is named like a secret is no ${PULL_…}."""
    file = name.endswith(("filename", "file", "path"))
    if _SECRET_NAME.search(name) and isinstance(value, str) and not file and not _PLACEHOLDER.fullmatch(value):
        raise RefusedAddress(
            f"The option {name} is written out; name it as ${{{PREFIX}{name.upper()}}} and set that variable."
        )


def check_folder(address: str) -> None:
    """RefusedAddress unless files may be fetched from there."""
    scheme = scheme_of(address)
    if scheme not in settings.METERBOOK_PULL_SCHEMES:
        known = ", ".join(f"{each}://" for each in settings.METERBOOK_PULL_SCHEMES)
        raise RefusedAddress(f"Files cannot be fetched by {scheme}://; use {known}.")
    if "::" in address:
        raise RefusedAddress("The address holds “::”, which would put drivers one behind another; name one place.")
    if scheme == "file":
        check_local(local_path(address))


def scheme_of(address: str) -> str:
    """The driver that an address names; a plain path is a file's."""
    return address.partition("://")[0].lower() if "://" in address else "file"


def local_path(address: str) -> str:
    """The path of an address of this machine."""
    return address.removeprefix("file://")


def check_local(path: str) -> None:
    """RefusedAddress for what lies outside METERBOOK_PULL_ROOTS, also by way of “..” or a link."""
    fixed = re.split(r"[*?\[]", path, maxsplit=1)[0]
    whole = Path(fixed if fixed == path else fixed.rpartition("/")[0] or "/")
    roots = [Path(root).resolve() for root in settings.METERBOOK_PULL_ROOTS]
    if not path.startswith("/") or not any(whole.resolve().is_relative_to(root) for root in roots):
        raise RefusedAddress(
            f"{path} does not lie below {' or '.join(map(str, roots))}, which METERBOOK_PULL_ROOTS allows;"
            " put the files there, or add their folder to that setting."
        )


def check_query(address: str, query: str) -> None:
    """RefusedAddress unless the query can be asked again and again from a position on."""
    if urlsplit(address).scheme not in DATABASES:
        raise RefusedAddress("Rows are fetched from PostgreSQL: write postgres://user:${PULL_PASSWORD}@host/database.")
    if not _POSITION.search(query):
        raise RefusedAddress(
            "The query never says :position; add WHERE id > :position, so that only new rows are read."
        )
    if not re.search(r"\border\s+by\b", query, re.IGNORECASE):
        raise RefusedAddress(
            "The query has no ORDER BY; order it by the position column, so that no row is passed over."
        )


def with_parameter(query: str) -> str:
    """The query as the driver takes it: :position as a parameter, and per cents as they are."""
    return _POSITION.sub("%(position)s", query.strip().removesuffix(";").replace("%", "%%"))
