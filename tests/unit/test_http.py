"""What the headers of a request say of a command."""

from uuid import UUID

import pytest

from messaging.access import ANONYMOUS, NOBODY, NamedAsker
from messaging.exceptions import Invalid
from messaging.http import answer_headers, context_of, traceparent
from messaging.message import Result

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ID = "10000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("sent", "flags"),
    [
        (f"00-{TRACE}-{PARENT}-00", "00"),
        (f"00-{TRACE}-{PARENT}-01", "01"),
        (f"00-{TRACE}-{PARENT}-03", "03"),
        (f"00-{TRACE}-{PARENT}-ff", "03"),  # unknown flags have to be zero
        (f"cc-{TRACE}-{PARENT}-01", "01"),  # a later version is read as far as it is known
        (f"cc-{TRACE}-{PARENT}-01-", "01"),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like", "01"),
    ],
)
def test_a_trace_goes_on_in_the_version_that_is_known(sent: str, flags: str) -> None:
    assert traceparent(sent) == f"00-{TRACE}-{PARENT}-{flags}"


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "trace",
        f"{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-.0",
        f"00-{TRACE}-{PARENT}-0x",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01 ",
        f"00-{TRACE}-{PARENT}-01\n",
        f"cc-{TRACE}-{PARENT}-01.more",
        f"cc-{TRACE}-{PARENT}-01-\n",
        f"ff-{TRACE}-{PARENT}-01",
        f"0-{TRACE}-{PARENT}-01",
        f"000-{TRACE}-{PARENT}-01",
        f".0-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT.upper()}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}0-{PARENT}-01",
        f"00-{TRACE}-{PARENT}0-01",
        f"00-{TRACE[:-1]}\u0661-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01",
    ],
)
def test_what_is_no_trace_is_ignored_and_a_new_one_begins(sent: str) -> None:
    first, second = traceparent(sent), traceparent(sent)
    assert first != second
    assert TRACE not in first
    assert traceparent(first) == first, "it is one"


@pytest.mark.parametrize("name", ["Correlation-Id", "Causation-Id"])
@pytest.mark.parametrize("sent", ["", "order-7", ID.replace("-", ""), f"{{{ID}}}", f"{ID}\n"])
def test_an_id_that_is_none_is_refused_by_the_name_of_its_header(name: str, sent: str) -> None:
    with pytest.raises(Invalid) as refused:
        context_of({name: sent}, NamedAsker("alice"))
    assert (refused.value.code, refused.value.attr, refused.value.status) == ("invalid", name, 400)


def test_the_context_says_who_sends_and_what_led_to_it() -> None:
    asker = NamedAsker("alice")
    sent = {"Correlation-Id": ID, "Causation-Id": ID.replace("1", "2")}
    context = context_of(sent, asker)
    assert (context.actor, context.asker) == ("alice", asker)
    assert (context.correlation_id, context.causation_id) == (UUID(ID), UUID(sent["Causation-Id"]))
    assert context_of({}, NOBODY).actor == ANONYMOUS


def test_the_answer_has_the_correlation_of_the_events_and_only_ids_that_there_are() -> None:
    context = context_of({"Correlation-Id": ID}, NamedAsker("alice"))
    assert answer_headers(context) == {"Correlation-Id": ID, "traceparent": context.traceparent}
    other = UUID(int=7)
    result = Result(positions=(), ids={}, created=True, correlation_id=other)
    assert answer_headers(context, result)["Correlation-Id"] == str(other)
    assert set(answer_headers(context_of({}, NamedAsker("alice")))) == {"traceparent"}
