"""What holds for the parameters of every query: no column of text takes a NUL, so none may hold one."""

from fastapi import Request

from ingestion.problems import parameter_fault, refuse

_LONGEST_NAME = 80


async def refuse_nul(request: Request) -> None:
    """Raise RequestError (422) that names each parameter with a NUL."""
    faults = [
        parameter_fault(name[:_LONGEST_NAME], "must not hold the character NUL")
        for name, value in request.query_params.multi_items()
        if "\0" in value
    ]
    if faults:
        raise refuse("invalid_parameter", "A parameter cannot be used.", faults=faults)
