//! The certificates a provider's name is checked against: the system's where it has any, else
//! Mozilla's list as bundled, so that an image without a CA store still verifies.

use std::sync::{Arc, LazyLock};

use pingora_core::protocols::tls::CaType;
use pingora_core::utils::tls::{WrappedX509, parse_x509};

/// Mozilla's roots, only where the system has none of its own.
pub fn bundled_if_needed() -> Option<Arc<CaType>> {
    static BUNDLED: LazyLock<Option<Arc<CaType>>> = LazyLock::new(|| {
        let system = rustls_native_certs::load_native_certs().unwrap_or_default();
        if !system.is_empty() {
            return None;
        }
        tracing::info!("the system has no CA certificates; using the bundled ones");
        let certificates = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        Some(certificates.map(|der| WrappedX509::new(der.to_vec(), parse_x509)).collect())
    });
    BUNDLED.clone()
}
