"""How Django shows times where a template says nothing else, as in the console: to the second, as a
line of the log has them."""

DATETIME_FORMAT = "Y-m-d H:i:s"
