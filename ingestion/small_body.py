"""Reads small JSON bodies into models: bounded while they stream, read strictly, every fault told with its pointer."""

from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from common.errors import Fault, RequestError, StrictJsonError
from common.schema import parse_json
from ingestion.admission import malformed
from ingestion.body import read_body
from ingestion.problems import refuse

MOST_BYTES: Final = 64 * 1024

M = TypeVar("M", bound=BaseModel)


async def read_model(request: Request, model: type[M]) -> M:
    """Return the body as a model. Raises RequestError (400, 408, 413, 422)."""
    body = await read_body(request.scope, request.receive, limit=MOST_BYTES, too_large=_too_large) or b""
    try:
        parse_json(body)
        return model.model_validate_json(body)
    except StrictJsonError as error:
        raise malformed(error) from None
    except ValidationError as error:
        faults = [
            Fault("".join(f"/{_escaped(part)}" for part in found["loc"]), found["msg"], found["type"])
            for found in error.errors(include_url=False, include_input=False)
        ]
        raise refuse("invalid_request_body", "The body cannot be used as it is.", faults=faults) from None


def takes(model: type[BaseModel], example: Any) -> dict[str, Any]:
    """Return what tells the OpenAPI document of such a body; the model must be among its plain ones."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _too_large() -> RequestError:
    return refuse("request_too_large", f"This request may have {MOST_BYTES} bytes.")


def _escaped(part: object) -> str:
    return str(part)[:80].replace("~", "~0").replace("/", "~1")
