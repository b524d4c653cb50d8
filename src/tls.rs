//! One TLS configuration for relays and gateways: what the host trusts, plus a private CA where one is configured.
//!
//! TLS 1.2 or later, certificates and names always verified; there is no switch to turn that off.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

/// The client's side of TLS. `ca_file` holds PEM certificates that are trusted besides those of the host.
///
/// The error says what is wrong with the file, or why the host's certificates cannot be had.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = match ca_file {
        None => Verifier::new(Arc::clone(&provider)),
        Some(path) => Verifier::new_with_extra_roots(certificates(path)?, Arc::clone(&provider)),
    };
    let verifier = verifier.map_err(|e| format!("no certificates to trust: {e}"))?;
    let config = builder(provider).dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(Arc::new(config))
}

fn builder(provider: Arc<CryptoProvider>) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring's provider has cipher suites for TLS 1.2 and 1.3")
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let place = path.display();
    let pem = std::fs::read(path).map_err(|e| format!("ca_file {place}: {e}"))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|e| format!("ca_file {place}: {e}"))?;
    if found.is_empty() {
        return Err(format!("ca_file {place}: there is no certificate in it; expected PEM"));
    }
    Ok(found)
}
