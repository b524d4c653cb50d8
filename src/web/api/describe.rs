//! The API's description: OpenAPI 3.1, made from the operations and the types of their answers.

use std::collections::BTreeSet;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{Operation, ROOT};

/// Refusals that every operation has.
const ALWAYS: [(u16, &str); 3] = [(401, "No token, or none of ours."), (403, "The token lacks the scope."), (503, "The store failed.")];

/// The whole document.
pub(super) fn document(operations: &[Operation]) -> Value {
    let mut generator = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into()).into_generator();
    let mut paths = Map::new();
    for operation in operations {
        let described = describe(operation, &mut generator);
        let path = paths.entry(format!("{ROOT}{}", operation.path)).or_insert_with(|| json!({}));
        path[operation.method] = described;
    }
    let mut schemas: Map<String, Value> = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Punctual",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT", "identifier": "MIT" },
            "description": "Notices of a practice's video sessions: what was, will and will not be told to whom. Contacts are masked; no answer holds a \
                            code. Times are RFC 3339, UTC. Refusals are problem details (RFC 9457).",
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "Made by `punctual token add NAME --scope SCOPE`; a source's own token pushes to that one." } },
        },
    })
}

fn describe(operation: &Operation, generator: &mut schemars::SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = in_path(operation.path);
    parameters.extend(operation.query.iter().map(|key| {
        json!({ "name": key.name, "in": "query", "required": false, "description": key.help, "schema": (key.schema)(),
                "style": "form", "explode": true })
    }));
    let mut responses = Map::new();
    for (status, schema) in operation.answers {
        let mut response = json!({ "description": if *status == 201 { "Added." } else { "Done." } });
        if let Some(schema) = schema {
            response["content"] = json!({ "application/json": { "schema": schema(generator) } });
        }
        responses.insert(status.to_string(), response);
    }
    let body: &[(u16, &str)] = &[
        (408, "The body did not come in time."),
        (413, "The body is too long."),
        (415, "The body is not JSON."),
        (422, "The body is not what is described."),
    ];
    let body = if operation.body.is_some() { body } else { &[] };
    let query: &[(u16, &str)] = &[(400, "A key of the query is not known, or holds something else.")];
    let refusals = ALWAYS.iter().chain(query).chain(operation.refusals).chain(body);
    for (status, why) in refusals {
        let content = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
        responses.insert(status.to_string(), json!({ "description": why, "content": content }));
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "description": format!("Scope: {}.", operation.scope),
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(schema) = operation.body {
        described["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema(generator) } } });
    }
    described
}

/// What stands in braces in an address.
fn in_path(path: &str) -> Vec<Value> {
    let names: BTreeSet<&str> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
    let schema = |name: &str| match name {
        "name" => json!({ "type": "string", "minLength": 1 }),
        "session" => json!({ "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX }),
        "act" => json!({ "type": "string", "enum": ["retry", "hold", "release", "cancel", "cancel_told", "restore", "resend"] }),
        _ => json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" }),
    };
    names.into_iter().map(|name| json!({ "name": name, "in": "path", "required": true, "schema": schema(name) })).collect()
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "faults": { "type": "array", "items": { "type": "object" } },
        },
    })
}
