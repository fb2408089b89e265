import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from messaging import Context, send
from people.models import User
from stock.commands import ReceiveStock


@pytest.fixture
def ann(db):
    return User.objects.create_user("ann@shop.example")


@pytest.fixture
def bob(db):
    return User.objects.create_user("bob@shop.example")


@pytest.fixture
def till(db):
    return User.objects.create_user("till@shop.example", is_staff=True)


class Browser(Client):
    """Sends and asks by the API, as one person."""

    def command(self, name, body):
        return self.post(f"/api/commands/{name}/", json.dumps(body), "application/json")

    def query(self, name, **parameters):
        return self.get(f"/api/queries/{name}/", parameters)


@pytest.fixture
def of():
    """The API as somebody uses it: of(ann).command(...)"""

    def of(user=None):
        browser = Browser()
        if user is not None:
            browser.force_login(user)
        return browser

    return of


@pytest.fixture
def stored(memory_bus):
    """How many events are stored, and how many wait for the log."""

    def stored():
        out = StringIO()
        call_command("status", "--json", stdout=out)
        found = json.loads(out.getvalue())
        return found["events"], found["outbox"]

    return stored


@pytest.fixture
def tea(till):
    """Three of them."""
    send(ReceiveStock(sku="tea-100", quantity=3), Context(actor=till.email, asker=till))
    return "tea-100"
