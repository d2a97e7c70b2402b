"""An issuer of tokens: keys, what it signs with them, and a server that publishes them."""

import json
import ssl
import threading
import time
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.certificates import Certificate

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
NAME = "https://id.example"
AUDIENCE = "livecomments"


def private_key(algorithm: str, name: str = "") -> PrivateKey:
    """The same for the same name: to make an RSA key takes a while."""
    return _made(algorithm, name)


@cache
def _made(algorithm: str, _name: str) -> PrivateKey:
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def public_jwk(key: PrivateKey, **more: str) -> dict[str, Any]:
    """As a set publishes it."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        return {**RSAAlgorithm.to_jwk(public, as_dict=True), **more}
    if isinstance(public, ec.EllipticCurvePublicKey):
        return {**ECAlgorithm.to_jwk(public, as_dict=True), **more}
    return {**OKPAlgorithm.to_jwk(public, as_dict=True), **more}


def claims_of(user: str = "ann", *, issuer: str = NAME, ttl_s: float = 600, **more: Any) -> dict[str, Any]:
    """Those of a good token, but for what is given; None leaves one out."""
    now = time.time()
    claims = {"sub": user, "iss": issuer, "aud": AUDIENCE, "iat": int(now), "exp": int(now + ttl_s), **more}
    return {name: value for name, value in claims.items() if value is not None}


class Issuer:
    """Publishes its keys while the context is open, at ``url``."""

    def __init__(self, *, name: str = NAME, certificate: Certificate | None = None) -> None:
        self.name = name
        self.keys: dict[str, tuple[str, PrivateKey]] = {}
        """Those that are published: algorithm and key by kid."""
        self.fetches = 0
        self.answer: Callable[[BaseHTTPRequestHandler], None] = self.publish
        """What is done with a request; tests put something else here."""
        self._server: ThreadingHTTPServer | None = None
        self._certificate = certificate
        self.port = 0

    @property
    def url(self) -> str:
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}/jwks.json"

    def add(self, kid: str, algorithm: str = "EdDSA") -> None:
        self.keys[kid] = (algorithm, private_key(algorithm, kid))

    def withdraw(self, kid: str) -> None:
        del self.keys[kid]

    def document(self) -> bytes:
        jwks = [public_jwk(key, kid=kid, use="sig", alg=algorithm) for kid, (algorithm, key) in self.keys.items()]
        return json.dumps({"keys": jwks}).encode()

    def token(self, user: str = "ann", *, kid: str = "", signed_by: str = "", **claims: Any) -> str:
        """A good one, signed with the only key or that of ``kid``; ``signed_by`` takes the key of another kid."""
        kid = kid or next(iter(self.keys))
        algorithm, key = self.keys[signed_by or kid]
        return jwt.encode(claims_of(user, issuer=self.name, **claims), key, algorithm, headers={"kid": kid})

    def publish(self, request: BaseHTTPRequestHandler) -> None:
        document = self.document()
        request.send_response(200)
        request.send_header("Content-Type", "application/jwk-set+json")
        request.send_header("Content-Length", str(len(document)))
        request.end_headers()
        request.wfile.write(document)

    def start(self) -> None:
        """Publishes, at the port that it had before if it had one."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                try:
                    issuer.answer(self)
                except OSError:
                    self.close_connection = True  # the client had enough

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        if self._certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self._certificate.cert, self._certificate.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        self.port = server.server_port
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """From now on nobody listens there."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
