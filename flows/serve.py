"""Serving: the xAPI receiver over the event log of the settings."""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from hashlib import sha256
from uuid import uuid4

from connectors.event_log import EventLog
from connectors.locks import locked
from connectors.receiver.app import Receiver, application
from connectors.receiver.authentication import Tokens
from connectors.receiver.clients import Clients
from connectors.receiver.intake import Intake
from connectors.receiver.intake_alone import IntakeAlone
from connectors.receiver.intake_shared import IntakeShared
from connectors.receiver.measured import measured
from connectors.receiver.rates import counted_alone, counted_shared, parsed
from connectors.receiver.store import StatementStore
from connectors.receiver.turns import Turns
from connectors.receiver.webhooks import Deliveries, GitHubWebhook
from flows.metrics import serving
from flows.opening import contents, erased, event_log, own_key, repairs, secret, server, state
from flows.pages import routes
from flows.settings import Settings
from schemas.errors import UnavailableError
from schemas.records import STATEMENTS
from schemas.xapi import Statement

_PAGES = "pages"  # the source of statements that pages make
_FILE = "receiver.db"


def clients(settings: Settings) -> Clients:
    """The clients of the receiver."""
    return Clients(state(settings, _FILE))


def serve(settings: Settings, host: str, port: int, metrics_port: int | None, tell: Callable[[str], None]) -> None:
    """Serve until interrupted. UnavailableError where the address is taken."""
    import resource
    import socket

    import uvicorn

    from connectors.receiver.protocol import impatient

    chosen = settings.receiver
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))  # each connection is one
    # With the protocol named, asyncio sends small answers at once (TCP_NODELAY), and not 40 ms later.
    key = own_key(settings, "receiver.key")
    several, rate = bool(settings.state.url), parsed(chosen.rate)
    transactional_id = f"proficio-receiver-{uuid4().hex if several else sha256(key.encode()).hexdigest()[:16]}"
    with (
        nullcontext() if several else _alone(settings),
        socket.socket(proto=socket.IPPROTO_TCP) as bound,
        event_log(settings, transactional_id) as log,
        serving(settings, host, metrics_port) if metrics_port else nullcontext() as registry,
    ):
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
            bound.listen(1_024)
        except OSError as error:
            raise UnavailableError(f"{host}:{port} cannot be listened on: {error}", "Choose another --port.") from error
        with (
            closing(clients(settings)) as known,
            closing(StatementStore(state(settings, _FILE))) as store,
            closing(_intake(settings, log, store, transactional_id)) as intake,
        ):
            receiver = Receiver(
                intake=intake,
                store=store,
                clients=known,
                tokens=Tokens(key),
                contents=contents(settings),
                authority_home=chosen.authority_home,
                max_body_bytes=chosen.max_body_bytes,
                max_statements=chosen.max_statements,
                body_seconds=chosen.body_seconds,
                rate=rate,
                counted=counted_shared(server(settings), rate) if several else counted_alone(rate),
                max_record_bytes=settings.event_log.max_record_bytes,
                repairs=repairs(settings),
                repaired_clients=chosen.repaired_clients,
                github=_github(settings),
            )
            app = application(receiver)
            app.router.routes += routes(settings, lambda one: _keep(intake, chosen.authority_home, one))
            tell(f"The receiver listens on http://{host}:{bound.getsockname()[1]}/xapi/; Ctrl-C ends it.")
            config = uvicorn.Config(
                measured(app, registry) if registry else app,
                http=impatient(chosen.head_seconds),
                log_level="warning",
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_keep_alive=30,
                timeout_graceful_shutdown=10,
                h11_max_incomplete_event_size=65_536,
            )
            uvicorn.Server(config).run([bound])


def _intake(settings: Settings, log: EventLog, store: StatementStore, transactional_id: str) -> Intake:
    if not settings.state.url:
        return IntakeAlone(log, store, erased(settings))

    def fence(other: str) -> None:
        with event_log(settings, other) as theirs:
            theirs.offsets(STATEMENTS)

    return IntakeShared(
        log,
        store,
        Turns(server(settings), transactional_id, settings.receiver.turn_seconds),
        fence,
        erased(settings),
    )


def _keep(intake: Intake, authority_home: str, statement: Statement) -> None:
    """Take in a statement that a page made."""
    authority = {"objectType": "Agent", "account": {"homePage": authority_home, "name": _PAGES}}
    intake.submit([statement], _PAGES, authority, "1.0.3").result()


def _alone(settings: Settings) -> AbstractContextManager[None]:
    """One receiver at a time, for its store is written behind the log. The lock goes with the process."""
    return locked(settings.home / "receiver.lock", 0, f"Another receiver serves {settings.home}.")


def _github(settings: Settings) -> GitHubWebhook | None:
    path = settings.receiver.github_secret_file
    if path is None:
        return None
    return GitHubWebhook(secret(path, "receiver.github_secret_file"), Deliveries(state(settings, "deliveries.db")))
