"""How things stand: status, health, and what operators did."""
