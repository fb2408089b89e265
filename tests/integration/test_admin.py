"""The admin shows the record and changes nothing of it, whoever asks and however."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests.support.api import person
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.relaying import publish_all

from accounts.models import User
from commands_app.commands import AddComment, EditMessage, NewPost
from messaging import admin, mediator
from messaging.eventstore.models import Event, Outbox, Receipt, Stream
from messaging.exceptions import Refused
from messaging.message import Context
from messaging.projections.models import Checkpoint, DeadLetter, ProjectionState

RECORD = [Stream, Event, Outbox, Receipt, ProjectionState, Checkpoint, DeadLetter]
PASSWORD = "correct horse battery"
