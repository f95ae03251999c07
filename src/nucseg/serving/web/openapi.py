"""The schemas: OpenAPI for all routes, and Swagger 2.0 for those of the contract that old clients know."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from nucseg.serving.answers.contract import Contract
from nucseg.serving.web.auth import OPEN

TITLE = "nucseg"
_FORM, _JSON = "multipart/form-data", "application/json"
_BINARY = {"type": "string", "format": "binary"}


def schema(app: FastAPI, *, with_key: bool) -> dict[str, Any]:
    """Create the OpenAPI schema: FastAPI's with the first sentence of each description as the summary.

    It lacks the response 422, which is never sent.

    Args:
        app: The application.
        with_key: Whether requests need the API key.
    """
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    for path in made["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["summary"] = operation["description"].splitlines()[0].rstrip(".")
    for name in ("HTTPValidationError", "ValidationError"):
        made["components"]["schemas"].pop(name, None)
    if with_key:
        made["components"]["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
        made["security"] = [{"key": []}]
        refused = {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}
        for name, path in made["paths"].items():
            for operation in path.values():
                if name in OPEN:
                    operation["security"] = []
                else:
                    operation["responses"]["401"] = {
                        "description": HTTPStatus.UNAUTHORIZED.phrase,
                        "content": {"application/json": refused},
                    }
    return made


def swagger(app: FastAPI, contract: Contract) -> dict[str, Any]:
    """Create the Swagger 2.0 schema of the routes that old clients know from the OpenAPI schema.

    Args:
        app: The application.
        contract: Title, these routes, and what is said of the image.
    """
    made = app.openapi()
    paths = {
        path: {method: _operation(operation, contract) for method, operation in operations.items()}
        for path, operations in made["paths"].items()
        if path.startswith(contract.paths)
    }
    definitions = {name: _to_swagger2(each) for name, each in made["components"]["schemas"].items()}
    info = {"title": contract.title, "version": app.version, "description": app.description}
    result = {"swagger": "2.0", "info": info, "basePath": "/", "produces": ["application/json"], "paths": paths}
    return {**result, "definitions": _referenced(paths, definitions)}


def _operation(operation: dict[str, Any], contract: Contract) -> dict[str, Any]:
    parameters = [
        {name: value for name, value in parameter.items() if name != "schema"}
        | _parameter_schema(_to_swagger2(parameter["schema"]))
        for parameter in operation.get("parameters", [])
    ]
    result = {name: operation[name] for name in ("tags", "summary", "description", "operationId")}
    if "requestBody" in operation:
        # Swagger 2.0 has one kind of body for an operation: the body itself, where there is a choice.
        kinds = list(operation["requestBody"]["content"])
        raw = [kind for kind in kinds if kind != _FORM]
        result["consumes"] = raw or kinds
        place = {"in": "body", "schema": _BINARY} if raw else {"in": "formData", "type": "file"}
        parameters.append({"name": "image", "required": True, "description": contract.image, **place})
    result["parameters"] = parameters
    result["responses"] = {status: _response(response) for status, response in operation["responses"].items()}
    produced = [kind for response in operation["responses"].values() for kind in response.get("content", {})]
    if set(produced) > {_JSON}:
        result["produces"] = list(dict.fromkeys(produced))
    return result


def _response(response: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"description": response["description"]}
    content = response.get("content", {})
    if content:
        result["schema"] = _to_swagger2(content[_JSON]["schema"]) if _JSON in content else {"type": "file"}
    if "headers" in response:
        result["headers"] = {
            name: {"description": header["description"], **header["schema"]}
            for name, header in response["headers"].items()
        }
    return result


def _parameter_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Drop what Swagger 2.0 does not allow in a parameter: null, and a second title and description."""
    kept = {name: value for name, value in schema.items() if name not in ("x-nullable", "title", "description")}
    return {**kept, "collectionFormat": "multi"} if kept.get("type") == "array" else kept


def _to_swagger2(schema: Any) -> Any:
    """Translate a schema of OpenAPI 3.1 to Swagger 2.0."""
    if isinstance(schema, list):
        return [_to_swagger2(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: _to_swagger2(value) for name, value in schema.items()}
    if "anyOf" in schema:  # here always: something or null
        (something,) = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
        return {**schema, **something, "x-nullable": True}
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if "$ref" in schema:
        return {"$ref": schema["$ref"].replace("#/components/schemas/", "#/definitions/")}
    return schema


def _referenced(paths: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the definitions that are referred to, directly or indirectly."""
    used: dict[str, Any] = {}
    waiting = [paths]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            name = str(each.get("$ref", "")).removeprefix("#/definitions/")
            if name and name not in used:
                used[name] = definitions[name]
                waiting.append(definitions[name])
            waiting += each.values()
    return used
