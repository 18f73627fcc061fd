"""The areas of `app/`: the folders whose modules follow the five names."""

AREAS = (
    "access",
    "agencies",
    "changes",
    "convergence",
    "exchange",
    "plans",
    "reference",
    "reports",
    "tracking",
)
