"""The backend `config.embedded`: Django's PostgreSQL backend, with the server started by the first connection."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from django.db.backends.postgresql.client import DatabaseClient as PostgresClient

from config.embedded import cluster, programs, server


class DatabaseClient(PostgresClient):
    """`manage.py dbshell`, with the wheel's own psql on the embedded server."""

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Iterable[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        data = _start(settings_dict)
        address = cluster.address(data)
        settings = settings_dict | {name.upper(): address[name] for name in ("host", "port", "user")}
        args, env = super().settings_to_cmd_args_env(settings, parameters)
        return [str(programs.path_of("psql")), *args[1:]], env


class DatabaseWrapper(base.DatabaseWrapper):
    """Connects to the server in OPTIONS["embedded"] (a data directory), which the first connection starts.

    OPTIONS["embedded_settings"] adds settings of PostgreSQL to those of `cluster`, or replaces them, as
    `{"shared_buffers": "1GB"}`; they hold from the server's next start. Raises ImproperlyConfigured, in one sentence
    with the way out, when the server cannot be had.
    """

    client_class = DatabaseClient

    def get_connection_params(self) -> dict[str, Any]:
        """Django's parameters with the server's socket; here, because tests' and pools' connections ask here too."""
        data = _start(self.settings_dict)
        params: dict[str, Any] = super().get_connection_params()
        del params["embedded"]
        params.pop("embedded_settings", None)
        return params | cluster.address(data)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection. A server that died since this process first used it is started again, once."""
        try:
            return super().get_new_connection(conn_params)
        except psycopg.OperationalError:
            data = Path(self.settings_dict["OPTIONS"]["embedded"])
            if cluster.answers(data.resolve()):
                raise  # the server lives: no such database, too many connections and the like
            server.forget(data)
            _start(self.settings_dict)
            return super().get_new_connection(conn_params)


def _start(settings_dict: dict[str, Any]) -> Path:
    options = settings_dict["OPTIONS"]
    data = Path(options["embedded"]).resolve()
    server.ensure(data, options.get("embedded_settings"))
    return data
