"""How Kafka is reached, and with which keys records are signed; what of it cannot be meant."""

import re

from config import env

CLIENTS = ("kafka-python", "confluent")
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
PROVIDER = "SASL_OAUTH_TOKEN_PROVIDER"
SASL = ("SASL_MECHANISM", "SASL_PLAIN_USERNAME", "SASL_PLAIN_PASSWORD", PROVIDER)
KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
MIN_SECRET_LENGTH = 32  # characters: at least 128 bits, also of hexadecimal digits
SSL = ("SSL_CAFILE", "SSL_CERTFILE", "SSL_KEYFILE", "SSL_PASSWORD")


def security() -> dict[str, str]:
    """The arguments of a client. What is set and would have no effect is a problem: the broker
    would be spoken to in plain text, or without a password."""
    protocol = env.one_of("KAFKA_SECURITY_PROTOCOL", PROTOCOLS)
    _refuse_unknown()
    found = {name: env.text(f"KAFKA_{name}") for name in (*SASL, *SSL)}
    sasl, ssl = ([name for name in names if found[name]] for names in (SASL, SSL))
    if not env.text("KAFKA_SECURITY_PROTOCOL"):
        if sasl or ssl:
            message = f"It is empty, and KAFKA_{(sasl + ssl)[0]} is set: the broker would be "
            message += "spoken to in plain text."
            _problem("SECURITY_PROTOCOL", message, f"Set it to {'SASL_SSL' if sasl else 'SSL'}.")
    elif protocol:
        if sasl and not protocol.startswith("SASL"):
            _without_effect(sasl[0], protocol, "SASL_SSL or SASL_PLAINTEXT")
        if ssl and not protocol.endswith("SSL"):
            _without_effect(ssl[0], protocol, "SSL or SASL_SSL")
        if protocol.startswith("SASL") and "SASL_MECHANISM" not in sasl:
            message = f"It is empty, and KAFKA_SECURITY_PROTOCOL is {protocol}."
            hint = "SCRAM-SHA-512, SCRAM-SHA-256, PLAIN or OAUTHBEARER."
            _problem("SASL_MECHANISM", message, hint)
        _compare_mechanism(found["SASL_MECHANISM"], found[PROVIDER])
    arguments = {"security_protocol": protocol} | {n.lower(): v for n, v in found.items()}
    return {name: value for name, value in arguments.items() if value}


def _refuse_unknown() -> None:
    """A name that nobody reads, such as KAFKA_SASL_USERNAME, would leave the broker's protection
    out without a word."""
    known = {f"KAFKA_{name}" for name in (*SASL, *SSL)}
    for name in env.names_with("KAFKA_SASL_", "KAFKA_SSL_"):
        if name not in known:
            meant = [one for one in sorted(known) if one.startswith(name[: len("KAFKA_SSL")])]
            _problem(
                name.removeprefix("KAFKA_"), "It is no setting.", f"One of {', '.join(meant)}."
            )


def _compare_mechanism(mechanism: str, provider: str) -> None:
    if mechanism == "OAUTHBEARER" and not provider:
        message = "It is empty, and KAFKA_SASL_MECHANISM is OAUTHBEARER."
        _problem(PROVIDER, message, "The dotted path of a function that returns a token.")
    if provider and mechanism not in ("", "OAUTHBEARER"):
        message = f"It has no effect with KAFKA_SASL_MECHANISM={mechanism}."
        _problem(PROVIDER, message, "Set KAFKA_SASL_MECHANISM to OAUTHBEARER.")


def record_keys() -> list[tuple[str, str]]:
    """Ids and secrets of `id1:secret1,id2:secret2`. No message shows a secret, nor an id, which
    is one where the two were taken for each other."""
    found: dict[str, str] = {}
    for number, key in enumerate(env.words("RECORD_KEYS"), 1):
        key_id, colon, secret = key.partition(":")
        if fault := _fault_of_key(number, key_id if colon else None, secret, found):
            hint = "Give id:secret, id:secret, ... The first signs, all verify."
            hint += ' python -c "import secrets; print(secrets.token_hex(32))" makes a secret.'
            env.problems.append(env.Problem("RECORD_KEYS", fault, hint))
            return []
        found[key_id] = secret
    return list(found.items())


def _fault_of_key(number: int, key_id: str | None, secret: str, before: dict[str, str]) -> str:
    if key_id is None:
        return f"Key {number} has no id: there is no colon."
    if not KEY_ID.fullmatch(key_id):
        return f"The id of key {number} is not 1 to 32 letters, digits, '.', '_' and '-'."
    if key_id in before:
        return f"Key {number} has the id of another one."
    if secret in before.values():
        return f"Key {number} has the secret of another one."
    if len(secret) < MIN_SECRET_LENGTH or len(set(secret)) < MIN_SECRET_LENGTH // 4:
        least = f"{MIN_SECRET_LENGTH} random characters"
        return f"The secret of key {number} can be guessed: give {least}."
    return ""


def signs_records(keys: list[tuple[str, str]]) -> bool | None:
    """None: with Kafka, once there are keys."""
    if not env.text("RECORD_SIGNATURES"):
        return None
    on = env.switch("RECORD_SIGNATURES", False)
    if on and not keys and not env.text("RECORD_KEYS"):
        message = "It is on, and RECORD_KEYS is empty."
        env.problems.append(env.Problem("RECORD_SIGNATURES", message, "Set RECORD_KEYS."))
    return on


def _without_effect(name: str, protocol: str, wanted: str) -> None:
    message = f"It has no effect with KAFKA_SECURITY_PROTOCOL={protocol}."
    _problem(name, message, f"Set KAFKA_SECURITY_PROTOCOL to {wanted}, or leave this empty.")


def _problem(name: str, message: str, hint: str) -> None:
    env.problems.append(env.Problem(f"KAFKA_{name}", message, hint))
