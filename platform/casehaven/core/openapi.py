"""The OpenAPI 3.1 document: what FastAPI finds out, and every problem that a route can answer, with an example of each code."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from casehaven.core.problems import MEDIA_TYPE, all_problems
from casehaven.core.routing import OPEN, OPERATION, PROBLEMS

_PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. Programs read `code`.",
    "required": ["type", "status", "code", "title"],
    "properties": {
        "type": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "advice": {"type": "string"},
        "job": {"type": "string", "description": "Of a job that failed while the sender waited."},
        "challenge": {"type": "string", "description": "Of `assertion-needed`: what a passkey signs, base64url."},
        "nonce": {"type": "string", "description": "Of `assertion-needed`: comes back with the assertion."},
        "at": {"type": "integer", "description": "Of `assertion-needed`: comes back with the assertion."},
        "header": {"type": "string", "description": "Of `assertion-needed`: in which the assertion comes."},
    },
}
_SECURITY: Final = {
    "session": {"type": "apiKey", "in": "cookie", "name": "__Host-casehaven", "description": "Set by signing in."},
    "token": {"type": "http", "scheme": "bearer", "description": "A token of a machine."},
}


def document(app: FastAPI) -> dict[str, Any]:
    """Return the document, made once."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    made = get_openapi(
        title="Casehaven",
        version=app.version,
        summary="Share what case records of human trafficking show, without exposing anyone.",
        routes=app.routes,
    )
    components = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = _PROBLEM
    components["securitySchemes"] = _SECURITY
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                _describe(made["paths"][route.path_format][method.lower()], route)
    app.openapi_schema = made
    return made


def _describe(operation: dict[str, Any], route: APIRoute) -> None:
    said = route.openapi_extra or {}
    if said[OPERATION] != OPEN:
        operation["security"] = [{"session": []}, {"token": []}]
    responses = operation["responses"]
    responses.pop("422", None)
    known, by_status = all_problems(), defaultdict(list)
    for code in said[PROBLEMS]:
        by_status[known[code].status].append(known[code])
    for status, problems in sorted(by_status.items()):
        responses[str(status)] = {
            "description": "; ".join(problem.title for problem in problems),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {problem.code: {"value": problem.document()} for problem in problems},
                }
            },
        }
