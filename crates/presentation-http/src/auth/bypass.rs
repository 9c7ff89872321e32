//! When a request without any credential is the operator's own, from this machine.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::Uri;
use actix_web::http::header::{HeaderMap, HeaderName, ORIGIN};

use crate::origin::{is_local_origin, is_loopback_authority, requested_authority};

/// What the bypass depends on, as configured.
#[derive(Debug, Clone, Copy)]
pub struct LocalBypassConfig<'a> {
    /// The switch.
    pub enabled: bool,
    /// Every address the server listens on.
    pub listeners: &'a [SocketAddr],
    /// Whether the server is known under a public address, a tunnel's included.
    pub has_public_url: bool,
    /// Whether any reverse proxy is trusted.
    pub has_trusted_proxies: bool,
}

/// Lets requests from this machine in without a credential, where nothing but this machine can reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalBypass {
    /// Whether only this machine can reach the server.
    local: bool,
    /// Whether the switch is on, too.
    open: bool,
}

/// Why a request without a credential is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BypassRefusal {
    /// Switched off, or the server can be reached from elsewhere.
    Closed,
    /// The peer is another machine, or unknown.
    Peer,
    /// The `Host` is not a name of this machine: a rebound DNS name, or a proxy that passes its own.
    Host,
    /// The request comes from a web page of elsewhere.
    Origin,
    /// A proxy has passed the request on.
    Forwarded,
}

impl LocalBypass {
    /// Open only when switched on, with listeners on loopback addresses only, no public address and no trusted proxy.
    pub fn new(config: LocalBypassConfig<'_>) -> Self {
        let local = !config.listeners.is_empty()
            && config
                .listeners
                .iter()
                .all(|listener| listener.ip().to_canonical().is_loopback())
            && !config.has_public_url
            && !config.has_trusted_proxies;
        Self {
            local,
            open: config.enabled && local,
        }
    }

    /// Never lets anyone in.
    pub const fn closed() -> Self {
        Self {
            local: false,
            open: false,
        }
    }

    /// Whether a request that shows no credential is the operator's own.
    pub fn check(
        self,
        peer: Option<IpAddr>,
        headers: &HeaderMap,
        target: &Uri,
    ) -> Result<(), BypassRefusal> {
        if !self.open {
            return Err(BypassRefusal::Closed);
        }
        self.check_local(peer, headers, target)
    }

    /// Whether a request comes from this machine, by the rules of the bypass, whether or not it is switched on: who may
    /// register the owner before there is one.
    pub fn check_local(
        self,
        peer: Option<IpAddr>,
        headers: &HeaderMap,
        target: &Uri,
    ) -> Result<(), BypassRefusal> {
        if !self.local {
            return Err(BypassRefusal::Closed);
        }
        if !peer.is_some_and(|peer| peer.to_canonical().is_loopback()) {
            return Err(BypassRefusal::Peer);
        }
        if !requested_authority(headers, target).is_some_and(is_loopback_authority) {
            return Err(BypassRefusal::Host);
        }
        let foreign = headers
            .get_all(ORIGIN)
            .any(|origin| !origin.to_str().is_ok_and(is_local_origin));
        if foreign {
            return Err(BypassRefusal::Origin);
        }
        if forwarding_header(headers).is_some() {
            return Err(BypassRefusal::Forwarded);
        }
        Ok(())
    }
}

/// Names that only proxies, tunnels and content delivery networks set.
const FORWARDING: [&str; 17] = [
    "forwarded",
    "forwarded-for",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-remote-ip",
    "x-remote-addr",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-host",
    "true-client-ip",
    "client-ip",
    "cdn-loop",
    "fly-client-ip",
    "fastly-client-ip",
    "proxy-connection",
];

/// Beginnings of such names.
const FORWARDING_PREFIXES: [&str; 11] = [
    "x-forwarded",
    "x-original-",
    "x-envoy-",
    "x-appengine-",
    "x-azure-",
    "x-amzn-",
    "x-amz-cf-",
    "x-arr-",
    "cf-",
    "ngrok-",
    "tailscale-",
];

/// Whether only proxies, tunnels and content delivery networks set this header.
pub fn is_forwarding_header(name: &HeaderName) -> bool {
    let name = name.as_str();
    FORWARDING.contains(&name)
        || FORWARDING_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// The first header that says a proxy has passed the request on.
pub fn forwarding_header(headers: &HeaderMap) -> Option<&str> {
    headers
        .keys()
        .find(|name| is_forwarding_header(name))
        .map(HeaderName::as_str)
}
