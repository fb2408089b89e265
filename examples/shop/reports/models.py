"""What is known of the shop as a whole."""

from django.db import models

from messaging import TotalModel


class Revenue(TotalModel):
    """What the till took on one day."""

    key = ("day",)

    day = models.DateField()
    cents = models.BigIntegerField(default=0)
    orders = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["generation", "day"], name="one_revenue_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.cents / 100:.2f}"
