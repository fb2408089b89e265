"""The read models of orders."""

from django.db import models

from messaging import RootModel


class Order(RootModel):
    """An order as its customer sees it. Its id is the stream's."""

    customer = models.CharField(max_length=254, default="")
    what = models.TextField(default="")
    pieces = models.IntegerField(default=0, db_default=0)
    state = models.CharField(max_length=10, default="placed")
    placed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["generation", "stream_id"], name="one_order_a_stream")
        ]
        indexes = [
            models.Index(
                fields=["generation", "customer", "placed_at", "stream_id"],
                name="orders_by_customer",
            )
        ]

    def __str__(self) -> str:
        return f"{self.customer}: {self.what}"
