from django.db import models

from messaging import RootModel


class Order(RootModel):
    item = models.CharField(max_length=100, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["generation", "stream_id"], name="one_order_a_stream")
        ]

    def __str__(self) -> str:
        return self.item
