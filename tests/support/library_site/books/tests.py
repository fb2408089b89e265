from django.db import transaction
from django.test import TransactionTestCase

from .models import Book


class BookTests(TransactionTestCase):
    """Its tables are emptied by TRUNCATE, with all others of the database."""

    def test_a_book_is_kept(self):
        with transaction.atomic():
            Book.objects.create(title="Emma")
        assert Book.objects.count() == 1

    def test_each_test_begins_with_none(self):
        assert Book.objects.count() == 0
