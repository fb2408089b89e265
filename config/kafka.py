"""How Kafka is reached: what a kafka-python client takes, and what of it contradicts the rest."""

from config import env

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
SASL = ("SASL_MECHANISM", "SASL_PLAIN_USERNAME", "SASL_PLAIN_PASSWORD")
SSL = ("SSL_CAFILE", "SSL_CERTFILE", "SSL_KEYFILE", "SSL_PASSWORD")


def security() -> dict[str, str]:
    """The arguments of a client. What is set and would have no effect is a problem: the broker
    would be spoken to in plain text, or without a password."""
    protocol = env.one_of("KAFKA_SECURITY_PROTOCOL", PROTOCOLS)
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
            _problem("SASL_MECHANISM", message, "SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN.")
    arguments = {"security_protocol": protocol} | {n.lower(): v for n, v in found.items()}
    return {name: value for name, value in arguments.items() if value}


def _without_effect(name: str, protocol: str, wanted: str) -> None:
    message = f"It has no effect with KAFKA_SECURITY_PROTOCOL={protocol}."
    _problem(name, message, f"Set KAFKA_SECURITY_PROTOCOL to {wanted}, or leave this empty.")


def _problem(name: str, message: str, hint: str) -> None:
    env.problems.append(env.Problem(f"KAFKA_{name}", message, hint))
