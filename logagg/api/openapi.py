"""OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0) from the table of operations: what is not there is not served."""

from typing import Any

from logagg.api import schemas
from logagg.api.params import described
from logagg.api.rest import OPERATIONS, Operation
from logagg.version import __version__

_ERRORS = {
    "400": "A parameter is wrong; `errors` names each.",
    "401": "A token is needed, or this one is not known.",
    "403": "The token's scopes do not reach this far.",
    "404": "There is nothing of this name.",
    "503": "The store cannot be reached now, or the answer takes too long.",
}


def document(*, secured: bool, server: str | None = None) -> dict[str, Any]:
    """The whole description; `secured`: requests need a token."""
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "logagg", "version": __version__,
                 "description": "What logagg has read from logs: records, metrics, incidents and sources."},
        "paths": {one.path: {"get": _operation(one)} for one in OPERATIONS},
        "components": {
            "schemas": {"Problem": schemas.PROBLEM, **{_name(one): dict(one.schema) for one in OPERATIONS}},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer",
                                          "description": "A token with the scope `read`."}},
        },
    }
    if server:
        found["servers"] = [{"url": server}]
    if secured:
        found["security"] = [{"token": []}]
    return found


def _name(one: Operation) -> str:
    """Of the schema that an operation answers with: ListEvents."""
    return one.name[0].upper() + one.name[1:]


def _operation(one: Operation) -> dict[str, Any]:
    parameters = [described(parameter) for parameter in one.parameters]
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{_name(one)}"}}}
    good: dict[str, Any] = {"description": "OK", "content": content}
    if any(parameter.name == "cursor" for parameter in one.parameters):
        good["headers"] = {"Link": {"description": 'rel="next": the next page, if there is one (RFC 8288).',
                                    "schema": {"type": "string"}}}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    errors = {status: {"description": text, "content": problem} for status, text in _ERRORS.items()}
    return {"operationId": one.name, "summary": one.summary, **({"description": one.help} if one.help else {}),
            "parameters": parameters, "responses": {"200": good, **errors}}
