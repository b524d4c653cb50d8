//! The API's description: OpenAPI 3.1, of what stands at the operations. Here is what all of them have: a scope, and refusals.
//!
//! A schema has the name of its type. Two types of one name would be one schema: the second says another, by `#[schema(as = ...)]`.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Response};
use utoipa::{PartialSchema, ToSchema};

use crate::access::Scope;
use crate::web::problem::Details;

/// Refusals that every operation has.
const ALWAYS: [(&str, &str); 4] = [
    ("400", "A key of the query is not known, or holds something else."),
    ("401", "No token, or none of ours."),
    ("403", "The token lacks the scope."),
    ("503", "The store failed."),
];
/// And those with a body.
const OF_BODIES: [(&str, &str); 4] = [
    ("408", "The body did not come in time."),
    ("413", "The body is too long."),
    ("415", "The body is not JSON."),
    ("422", "The body is not what is described."),
];

/// The whole document, of the operations of each scope.
pub(super) fn document(scopes: [(Scope, OpenApi); 3]) -> OpenApi {
    let info = InfoBuilder::new()
        .title("Punctual")
        .version(env!("CARGO_PKG_VERSION"))
        .license(Some(LicenseBuilder::new().name("MIT").identifier(Some("MIT")).build()))
        .description(Some(
            "Notices of a practice's video sessions: what was, will and will not be told to whom. Contacts are masked; no answer holds a code. \
             Times are RFC 3339, UTC. Refusals are problem details (RFC 9457).",
        ));
    let mut token = Http::new(HttpAuthScheme::Bearer);
    token.description = Some("Made by `punctual token add NAME --scope SCOPE`; a source's own token pushes to that one.".to_owned());
    let mut components = Components::new();
    components.add_security_scheme("token", SecurityScheme::Http(token));
    components.schemas.insert(Details::name().into_owned(), Details::schema());
    let security = SecurityRequirement::new("token", [] as [&str; 0]);
    let mut all = OpenApiBuilder::new().info(info.build()).security(Some([security])).components(Some(components)).build();
    for (scope, mut api) in scopes {
        for item in api.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
            operations.into_iter().flatten().for_each(|operation| complete(operation, scope));
        }
        all.merge(api);
    }
    all
}

/// With its scope, the refusals that it has with others, and the form of them all.
fn complete(operation: &mut Operation, scope: Scope) {
    operation.description = Some(format!("Scope: {scope}."));
    let of_bodies: &[_] = if operation.request_body.is_some() { &OF_BODIES } else { &[] };
    let responses = &mut operation.responses.responses;
    for (status, why) in ALWAYS.iter().chain(of_bodies) {
        responses.insert((*status).to_owned(), RefOr::T(Response::new(*why)));
    }
    for (_, response) in responses.iter_mut().filter(|(status, _)| status.as_str() >= "400") {
        if let RefOr::T(response) = response {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Details::name()))).build();
            response.content.insert("application/problem+json".to_owned(), content.into());
        }
    }
}
