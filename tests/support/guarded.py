"""A broker that knows who asks and has an authorizer, set up by the lines of docs/operations.md."""

import argparse
import json
import re
import shlex
import time
from base64 import urlsafe_b64encode
from contextlib import closing
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from dev.kafka_server import KafkaServer
from tests.support.processes import ROOT

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
TOPIC = "posts.events"  # as the documentation calls it
ADMIN = "admin"


def documented(command: str) -> list[list[str]]:
    """The arguments of each line that begins with the command."""
    lines = [line.strip() for line in OPERATIONS.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith(command)]


def password(user: str) -> str:
    return f"password-of-{user}"


def client(user: str) -> dict[str, str]:
    """The settings of a kafka-python client besides the address."""
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": user,
        "sasl_plain_password": password(user),
    }


def token_of(user: str) -> tuple[str, float]:
    """As an identity provider makes it, but unsigned: a broker without a provider takes those."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": user, "iat": now, "exp": now + 3600})
    head, claims = (urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in parts)
    return f"{head.decode()}.{claims.decode()}.", now + 3600


def token_of_the_reader() -> tuple[str, float]:
    return token_of("postlog-reader")


class GuardedKafka(KafkaServer):
    # The last of two lines counts. Nobody but the broker itself asks the controller here.
    PROPERTIES = (
        KafkaServer.PROPERTIES
        + """
listeners=SASL_PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL_PLAINTEXT://127.0.0.1:{advertised},CONTROLLER://127.0.0.1:{controller}
inter.broker.listener.name=SASL_PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512,OAUTHBEARER
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=\\
  org.apache.kafka.common.security.scram.ScramLoginModule required \\
  username="admin" password="password-of-admin";
listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config=\\
  org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
super.users=User:admin;User:ANONYMOUS
"""
        + "".join(re.findall(r"`(authorizer\.class\.name=\S+)`", OPERATIONS))
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.format_options = [
            "--add-scram", f"SCRAM-SHA-512=[name={ADMIN},password={password(ADMIN)}]",
        ]  # fmt: skip
        self.client = client(ADMIN)

    def admin(self) -> Any:
        return KafkaAdminClient(bootstrap_servers=self.bootstrap_servers, **self.client)

    def add_users(self, *others: str) -> None:
        """Those of the documentation, and others."""
        users = [_user(line) for line in documented("kafka-configs --alter --entity-type users")]
        made = [
            UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, password(user))
            for user in (*users, *others)
        ]
        with closing(self.admin()) as admin:
            assert set(admin.alter_user_scram_credentials(made).values()) == {None}
        for user in (*users, *others):  # it tries until the broker has heard of them
            KafkaAdminClient(bootstrap_servers=self.bootstrap_servers, **client(user)).close()

    def grant(self, topic: str, lines: list[list[str]]) -> None:
        """What `kafka-acls --add` does: it is not among the jars that a broker needs."""
        with closing(self.admin()) as admin:
            answer = admin.create_acls([acl for line in lines for acl in _acls(line, topic)])
            assert answer["failed"] == []


def _user(line: list[str]) -> str:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--alter", action="store_true", required=True)
    parser.add_argument("--entity-type", choices=["users"])
    parser.add_argument("--entity-name", required=True)
    parser.add_argument("--add-config", choices=["SCRAM-SHA-512=[password=…]"])
    name: str = parser.parse_args(line).entity_name
    return name


def _acls(line: list[str], topic: str) -> list[ACL]:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--operation", action="append", required=True)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--topic", choices=[TOPIC])
    place.add_argument("--group")
    parser.add_argument("--resource-pattern-type", default="literal")
    found = parser.parse_args(line)
    pattern = ResourcePattern(
        ResourceType.GROUP if found.group else ResourceType.TOPIC,
        found.group or topic,
        ACLResourcePatternType[found.resource_pattern_type.upper()],
    )
    names = [re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper() for name in found.operation]
    allow = ACLPermissionType.ALLOW
    return [ACL(found.allow_principal, "*", ACLOperation[name], allow, pattern) for name in names]


def write(servers: str, topic: str, user: str, *, idempotent: bool) -> None:
    """Raises the broker's refusal."""
    producer = KafkaProducer(
        bootstrap_servers=servers,
        enable_idempotence=idempotent,
        max_block_ms=60_000,
        **client(user),
    )
    try:
        producer.send(topic, b"forged", partition=0).get(timeout=60)
    finally:
        producer.close(timeout=1)
