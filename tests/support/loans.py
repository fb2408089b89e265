"""An event of no stream type that the site has, and a decision about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanOpened:
    amount: int


def open_loan(loan: int, amount: int) -> list[LoanOpened]:
    return [LoanOpened(amount=amount)]
