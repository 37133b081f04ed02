"""A WSGI application before Django's: it answers `POST /api/v1/events` itself and hands everything else on.

The answers are those of the Django view, made by the same code; only the way there is shorter. What middleware would
refuse (an unknown host, plain HTTP in production) still goes to Django, and what middleware adds to an answer is added:
Django is asked once for each host and scheme.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from io import BytesIO
from typing import Any, Final, cast

from django.conf import settings
from django.core.handlers.wsgi import LimitedStream
from django.http.request import HttpHeaders
from django.urls import reverse
from django.utils.http import parse_header_parameters

from billing.metering import views
from billing.metering.front.lanes import Lanes

Environ = dict[str, Any]
Headers = list[tuple[str, str]]

_DOOR: Final = (
    "wsgi.url_scheme",
    "HTTP_HOST",
    "SERVER_NAME",
    "SERVER_PORT",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
)
"""What middleware looks at before it lets a request in."""

_MOST_DOORS: Final = 100

_wsgi_name: Final = cache(HttpHeaders.to_wsgi_name)  # of the few names that are asked for


class Incoming:
    """What the view needs of a request, read off the environ; a part of Django's request, at a tenth of its price."""

    def __init__(self, environ: Environ) -> None:
        self.META = environ
        self.headers = _Headers(environ)
        self.method: str = environ["REQUEST_METHOD"]
        self.content_type, self.content_params = parse_header_parameters(environ.get("CONTENT_TYPE", ""))
        length = environ.get("CONTENT_LENGTH") or ""
        stream = LimitedStream(environ["wsgi.input"], int(length) if length.isdecimal() else 0)
        self.read: Callable[[int], bytes] = stream.read


class _Headers(Mapping[str, str]):
    """The headers of an environ, looked up one by one, in any case."""

    def __init__(self, environ: Environ) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        return cast(str, self._environ[_wsgi_name(name)])

    def __contains__(self, name: object) -> bool:
        return _wsgi_name(cast(str, name)) in self._environ

    def __iter__(self) -> Iterator[str]:
        return iter(HttpHeaders(self._environ))

    def __len__(self) -> int:
        return len(HttpHeaders(self._environ))


class Front:
    """The application. Its lanes begin with the first request; `end` is for tests, processes simply stop."""

    def __init__(self, django: Callable[..., Iterable[bytes]]) -> None:
        self.django = django
        self.lanes = Lanes(settings.USAGE_WRITERS)
        self.path = reverse("events")
        self._doors: dict[tuple[Any, ...], Headers] = {}

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer, or let Django answer."""
        if environ["PATH_INFO"] == self.path and environ["REQUEST_METHOD"] == "POST" and not environ.get("SCRIPT_NAME"):
            added = self._door(environ)
            if added is not None:
                return self._answer(environ, start_response, added)
        return self.django(environ, start_response)

    def end(self) -> None:
        """Let the lanes end."""
        self.lanes.end()

    def _answer(self, environ: Environ, start_response: Callable[..., Any], added: Headers) -> Iterable[bytes]:
        response = views.answer(Incoming(environ), store=self.lanes.store, ask=self.lanes.ask)
        headers = [*response.headers.items(), ("Content-Length", str(len(response.content))), *added]
        start_response(f"{response.status_code} {response.reason_phrase}", headers)
        return [response.content]

    def _door(self, environ: Environ) -> Headers | None:
        """The headers that middleware adds to the answer; None where it would not let the request in."""
        door = tuple(environ.get(name) for name in _DOOR)
        added = self._doors.get(door)
        if added is None:
            added = self._ask_django(environ)
            if added is not None and len(self._doors) < _MOST_DOORS:
                self._doors[door] = added
        return added

    def _ask_django(self, environ: Environ) -> Headers | None:
        """What Django adds to an answer of the view; None when the view is not reached."""
        answered: list[tuple[str, Headers]] = []
        asked = environ | {views.ASKED_AT_THE_DOOR: True, "CONTENT_LENGTH": "0", "wsgi.input": BytesIO()}
        body = self.django(asked, lambda status, headers, *_: answered.append((status, headers)))
        getattr(body, "close", lambda: None)()
        status, headers = answered[0]
        if not status.startswith("204 "):
            return None
        return [(name, value) for name, value in headers if name.lower() != "content-length"]
