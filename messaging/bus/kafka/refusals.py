"""What an operator can do about a broker that does not let this process in, or not far enough.

The client's own words show the request, hundreds of characters of it, and not the right that it
takes. docs/operations.md, "Who may write to the topic", has the lines that grant each.
"""

NOT_AUTHORIZED = 29  # TOPIC_AUTHORIZATION_FAILED, where an answer carries a code
CANNOT_ENTER = (
    ' (if they can be reached: in POSTLOG["KAFKA"]["security"], is security_protocol theirs, is '
    "their certificate signed with ssl_cafile, and does the password belong to the user? The "
    "client cannot tell)"
)


def explained(error: object, topic: str, user: str, *, writing: bool = False) -> str:
    """The error, and what to do about it where that is known."""
    return worded(f"{type(error).__name__}: {error}", topic, user, writing=writing)


def worded(text: str, topic: str, user: str, *, writing: bool = False) -> str:
    if "AuthorizationFailed" in text:
        return refusal(text, topic, user, writing=writing)
    return text + CANNOT_ENTER if "Unable to bootstrap" in text else text


def refusal(text: str, topic: str, user: str, *, writing: bool = False) -> str:
    """`user`: empty where it is not known, as with client certificates."""
    who = f"User:{user}" if user else "this process"
    return f"the broker refuses {who}. {_missing(text, topic, writing)}"


def _missing(text: str, topic: str, writing: bool) -> str:
    if "GroupAuthorizationFailed" in text:
        return "Grant it Read on the groups whose names begin with 'postlog.'"
    if "CreateTopicsRequest" in text:
        return f"There is no topic {topic!r} yet: start a relay that may Create it"
    # Who may write to no topic gets no producer id, which is called a right on the cluster.
    if writing or "ClusterAuthorizationFailed" in text:
        return f"If it is to publish, grant it Write on the topic {topic!r}; else use --no-relay"
    return f"Grant it Read, Describe and DescribeConfigs on the topic {topic!r}"
