"""Where the regions of tests/world.py are, in words of the checker's own."""
PROVIDER = {"fr-par": "scaleway", "pl-waw": "scaleway", "eu-central-1": "aws", "eu-north-1": "aws"}
OPERATOR = {"fr-par": "scaleway", "pl-waw": "scaleway", "eu-central-1": "aws", "eu-north-1": "aws"}
COUNTRY = {"fr-par": "FR", "pl-waw": "PL", "eu-central-1": "DE", "eu-north-1": "SE"}
# The names that a limit of the workload may give them.
OPERATORS = {"scaleway", "aws"}
