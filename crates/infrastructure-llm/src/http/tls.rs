//! TLS with rustls and ring, trusting what the operating system trusts.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::config::{ProviderConfig, ProviderConfigError};

/// The TLS set-up of a client. A provider without TLS gets one that trusts nobody, which costs nothing to load and
/// cannot be used by accident, since redirects are off.
pub(crate) fn client_config(
    config: &ProviderConfig,
    wanted: bool,
) -> Result<ClientConfig, ProviderConfigError> {
    let failed = |error: rustls::Error| ProviderConfigError::Tls {
        name: config.name.clone(),
        reason: error.to_string(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder = if wanted {
        builder.with_platform_verifier().map_err(failed)?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}
