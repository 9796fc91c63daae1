"""The commands of the LTI tool: platforms, keys; and links to pages without an LMS."""

from typing import Annotated

import typer

from flows.commands.common import Json, load
from flows.commands.output import say, say_rows

app = typer.Typer(help="Platforms (LMSs) that launch the LTI 1.3 tool.", no_args_is_help=True)


@app.command()
def invite(context: typer.Context, as_json: Json = False) -> None:
    """Print an address for dynamic registration, which holds once and for a day: paste it into the platform.

    Example: proficio lti invite
    """
    from flows.opening import lti_store
    from flows.pages import address

    settings = load(context)
    url = f"{address(settings)}/lti/register?invitation={lti_store(settings).invite()}"
    say({"url": url}, as_json, url)


@app.command()
def add(
    context: typer.Context,
    issuer: Annotated[str, typer.Argument(help="The platform's issuer, such as https://moodle.example.org.")],
    client_id: Annotated[str, typer.Argument(help="The client id that it gave the tool.")],
    auth_url: Annotated[str, typer.Option(help="Its address for authentication requests.")],
    token_url: Annotated[str, typer.Option(help="Its address for access tokens.")],
    jwks_url: Annotated[str, typer.Option(help="Its address of public keys.")],
    deployment: Annotated[list[str], typer.Option(help="Id of a deployment; may stand several times; * for any.")],
    name: Annotated[str, typer.Option(help="What you call it.")] = "",
    token_audience: Annotated[
        str, typer.Option(help="Audience of requests for tokens, where it is not their address.")
    ] = "",
    trust_email: Annotated[
        bool, typer.Option("--trust-email", help="Let its mail addresses say who a person is.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Register a platform by hand, or replace what was registered of it.

    Example: proficio lti list
    """
    from connectors.lti.store import Platform
    from flows.opening import lti_store

    made = Platform(
        issuer, client_id, name or issuer, auth_url, token_url, jwks_url, token_audience, trust_email, tuple(deployment)
    )
    lti_store(load(context)).register(made)
    say({"issuer": issuer, "client_id": client_id}, as_json, f"{made.name} is registered.")


@app.command("list")
def show(context: typer.Context, as_json: Json = False) -> None:
    """List the platforms.

    Example: proficio lti list
    """
    from connectors.lti.store import as_json as plain
    from flows.opening import lti_store

    columns = {"name": "Platform", "issuer": "Issuer", "client_id": "Client id", "deployments": "Deployments",
               "trust_email": "Mail trusted"}  # fmt: skip
    rows = [plain(one) for one in lti_store(load(context)).platforms()]
    say_rows(rows, as_json, columns, "There are no platforms yet: proficio lti invite.")


@app.command()
def remove(context: typer.Context, issuer: str, client_id: str, as_json: Json = False) -> None:
    """Forget a platform: it launches no more, and is told no more.

    Example: proficio lti remove https://moodle.example.org abc
    """
    from flows.opening import lti_store
    from schemas.errors import InputError

    if not lti_store(load(context)).remove(issuer, client_id):
        raise InputError(f"{issuer} with client id {client_id} is not registered.", "See proficio lti list.")
    say({"issuer": issuer, "client_id": client_id, "removed": True}, as_json, f"{issuer} is forgotten.")


@app.command("rotate-key")
def rotate_key(context: typer.Context, as_json: Json = False) -> None:
    """Make a new key for the tool. It signs from tomorrow on; keys older than the one that signs are withdrawn now.

    Example: proficio lti rotate-key
    """
    from flows.opening import lti_store

    store = lti_store(load(context))
    dropped, made = store.drop_keys(), store.add_key()
    say(
        {"kid": made.kid, "withdrawn": dropped},
        as_json,
        f"Key {made.kid} signs from tomorrow on; {dropped} were withdrawn.",
    )


def link(
    context: typer.Context,
    person: Annotated[str, typer.Argument(help="Mail address, account, name or key.")],
    days: Annotated[float, typer.Option(help="For how many days it holds.", min=0)] = 7,
    as_json: Json = False,
) -> None:
    """Print a link to a person's page, for who has no LMS. Whoever has it sees the page: give it to them alone.

    Example: proficio link ada@example.org
    """
    from flows.pages import signed_link

    url = signed_link(load(context), person, days)
    say({"url": url}, as_json, url)
