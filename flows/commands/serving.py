"""The commands of the receiver: serve, and the clients that may use it."""

from typing import Annotated

import typer

from flows.commands.common import Json, load
from flows.commands.output import console, say, say_rows

app = typer.Typer(help="Clients of the receiver: who may send statements and read them.", no_args_is_help=True)


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8080,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port of /metrics for Prometheus, on the same address; none without it."),
    ] = None,
) -> None:
    """Receive xAPI statements over HTTP, as an LRS does, until interrupted.

    Example: proficio serve --port 8080
    """
    from flows.serve import serve as run

    run(load(context), host, port, metrics_port, lambda text: console().print(text, highlight=False))


def metrics(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 9108,
) -> None:
    """Serve /metrics for Prometheus, until interrupted: where the pipeline stands, where no receiver does it.

    Example: proficio metrics --port 9108
    """
    import threading

    from flows.metrics import serving

    with serving(load(context), host, port):
        console().print(f"Metrics are on http://{host}:{port}/metrics; Ctrl-C ends it.", highlight=False)
        threading.Event().wait()


@app.command("add")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the client: the user name of its Basic credentials.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="write, read-own or read-all; may stand several times.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Add a client and print its secret, this once.

    Example: proficio clients add moodle --scope write
    """
    from flows.serve import clients

    secret = clients(load(context)).add(name, frozenset(scope or ["write", "read-own"]))
    say({"name": name, "secret": secret}, as_json, f"User name: {name}\nPassword:  {secret}\nIt is not shown again.")


@app.command("list")
def show(context: typer.Context, as_json: Json = False) -> None:
    """List the clients.

    Example: proficio clients list
    """
    from flows.serve import clients

    rows = [
        {
            "name": one.name,
            "scopes": " ".join(sorted(one.scopes)),
            "created_at": one.created_at,
            "revoked_at": one.revoked_at,
        }
        for one in clients(load(context)).all()
    ]
    columns = {"name": "Client", "scopes": "Scopes", "created_at": "Added", "revoked_at": "Revoked"}
    say_rows(rows, as_json, columns, "There are no clients yet: proficio clients add NAME.")


@app.command("revoke")
def revoke(context: typer.Context, name: str, as_json: Json = False) -> None:
    """Take a client's access away, at once.

    Example: proficio clients revoke moodle
    """
    from flows.serve import clients

    clients(load(context)).revoke(name)
    say({"name": name, "revoked": True}, as_json, f"{name} has no access any more.")
