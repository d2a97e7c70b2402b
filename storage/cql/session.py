"""A session with the servers: where they are, who we are, and how statements go to them."""

import ssl

from cassandra import AuthenticationFailed, ConsistencyLevel, DriverException
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.policies import (
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    ExponentialReconnectionPolicy,
    TokenAwarePolicy,
)
from cassandra.protocol import ErrorMessage
from cassandra.query import tuple_factory

from livecomments.settings import SettingsError
from storage.cql.driver_log import connecting, silence
from storage.cql.servers import Servers

DRIVER_ERRORS = (DriverException, NoHostAvailable, ErrorMessage)
"""What the driver raises when the servers refuse, or none answers."""
READ = "read"
"""Execution profile: another server is asked, too, when the first is slow."""
WRITE = EXEC_PROFILE_DEFAULT

_PROTOCOL = 4
"""ScyllaDB's; Cassandra would take a newer one."""
_CONNECT_S = 5.0
_READ_S = 3.0
_WRITE_S = 10.0
_SCHEMA_S = 60.0
_SECOND_TRY_S = 0.05
"""Far above a read that goes well, far below its deadline."""
_SECOND_TRIES = 1
_RECONNECT_S = (0.25, 5.0)
"""The driver's own backoff would grow to ten minutes, and the writer would sleep through the servers' return."""
_HEARTBEAT_S = 5


def connect(servers: Servers) -> Session:
    """A session without a keyspace; whoever gets it calls ``disconnect``. Both block.

    Raises SettingsError for files that can't be read and credentials that are refused, ConnectionError when no server
    answers.
    """
    with connecting():
        cluster = _cluster(servers)
        try:
            session = cluster.connect()
        except (*DRIVER_ERRORS, OSError) as error:
            cluster.shutdown()
            raise _refused(servers, error) from error
    # No paging: each read has a limit of its own.
    session.default_fetch_size = None
    return session


def disconnect(session: Session) -> None:
    """Returns when the driver's threads are done; what was under way fails."""
    silence()
    session.cluster.shutdown()


def _cluster(servers: Servers) -> Cluster:
    policy = TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=servers.data_centre or ""))

    def profile(deadline_s: float, speculative: ConstantSpeculativeExecutionPolicy | None = None) -> ExecutionProfile:
        return ExecutionProfile(
            load_balancing_policy=policy,
            consistency_level=ConsistencyLevel.LOCAL_QUORUM,
            serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
            request_timeout=deadline_s,
            row_factory=tuple_factory,
            speculative_execution_policy=speculative,
        )

    try:
        return Cluster(
            servers.hosts,
            servers.port,
            protocol_version=_PROTOCOL,
            execution_profiles={
                WRITE: profile(_WRITE_S),
                READ: profile(_READ_S, ConstantSpeculativeExecutionPolicy(_SECOND_TRY_S, _SECOND_TRIES)),
            },
            auth_provider=_credentials(servers),
            ssl_context=_tls(servers),
            reconnection_policy=ExponentialReconnectionPolicy(*_RECONNECT_S, max_attempts=None),
            connect_timeout=_CONNECT_S,
            control_connection_timeout=_CONNECT_S,
            idle_heartbeat_interval=_HEARTBEAT_S,
            idle_heartbeat_timeout=_HEARTBEAT_S,
            max_schema_agreement_wait=_SCHEMA_S,
        )
    except OSError as error:  # names that can't be resolved
        raise ConnectionError(f"no CQL server at {servers}: {error}") from error


def _credentials(servers: Servers) -> PlainTextAuthProvider | None:
    if servers.user is None:
        return None
    if servers.password_file is None:
        raise SettingsError("setting LIVECOMMENTS_CQL_PASSWORD_FILE: is needed with LIVECOMMENTS_CQL_USER")
    try:
        password = servers.password_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"setting LIVECOMMENTS_CQL_PASSWORD_FILE: {servers.password_file}: {error}") from error
    return PlainTextAuthProvider(servers.user, password)


def _tls(servers: Servers) -> ssl.SSLContext | None:
    if servers.tls_ca is None:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=servers.tls_ca)
        if servers.tls_cert is not None:
            context.load_cert_chain(servers.tls_cert, servers.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"setting LIVECOMMENTS_CQL_TLS_CA, _CERT or _KEY: {error}") from error
    return context


def _refused(servers: Servers, error: Exception) -> Exception:
    causes = list(error.errors.values()) if isinstance(error, NoHostAvailable) else [error]
    if any(isinstance(cause, AuthenticationFailed) for cause in causes):
        return SettingsError("setting LIVECOMMENTS_CQL_USER: the servers refuse this user or its password")
    why = causes[0] if causes else error
    return ConnectionError(f"no CQL server answers at {servers}: {why}")
