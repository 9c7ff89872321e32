//! Whose request it is, seen through reverse proxies that are trusted.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::http::header::{
    FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR, X_FORWARDED_PROTO,
};
use ipnet::IpNet;

/// Where trusted proxies write whom they speak for. Only one is read: a proxy passes on what a client has written into
/// the headers it does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl ForwardedHeader {
    /// The header with the addresses.
    pub const fn name(self) -> HeaderName {
        match self {
            Self::XForwarded => X_FORWARDED_FOR,
            Self::Forwarded => FORWARDED,
        }
    }
}

/// One machine on a request's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// Its address.
    pub address: IpAddr,
    /// Whether it is a trusted proxy.
    pub trusted: bool,
}

/// The reverse proxies whose word about their clients is believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    header: ForwardedHeader,
}

impl TrustedProxies {
    /// These and no others; they write `X-Forwarded-For`.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self {
            networks,
            header: ForwardedHeader::default(),
        }
    }

    /// The same proxies, which write `header`.
    #[must_use]
    pub fn writing(self, header: ForwardedHeader) -> Self {
        Self { header, ..self }
    }

    /// The header that is read.
    pub const fn header(&self) -> ForwardedHeader {
        self.header
    }

    /// Whether no proxy is trusted.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether `address` is a trusted proxy. An IPv4 address written as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// The client's address: the peer's, or, when the peer is trusted, the rightmost entry of the header that is not
    /// trusted itself. Entries left of it are the client's own claim and are not read; an unreadable entry ends the walk
    /// at the hop that reported it.
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        self.walk(peer, headers, |hop, _| client = hop.address);
        client
    }

    /// Every machine the walk to the client passes: the peer first, the client last.
    pub fn hops(&self, peer: IpAddr, headers: &HeaderMap) -> Vec<Hop> {
        let mut hops = Vec::new();
        self.walk(peer, headers, |hop, _| hops.push(hop));
        hops
    }

    /// Whether a trusted proxy says that its client speaks HTTPS to it.
    pub fn says_https(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
        let Some(peer) = peer.filter(|peer| self.contains(*peer)) else {
            return false;
        };
        match self.header {
            // Of a list the last one is the nearest proxy's own.
            ForwardedHeader::XForwarded => headers
                .get_all(X_FORWARDED_PROTO)
                .last()
                .and_then(|value| value.to_str().ok()?.rsplit(',').next())
                .is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https")),
            ForwardedHeader::Forwarded => {
                let mut https = false;
                self.walk(peer, headers, |_, entry| {
                    https = parameter(entry, "proto")
                        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
                });
                https
            }
        }
    }

    /// Shows each hop with the entry that names it (empty for the peer), from the peer to the client.
    fn walk(&self, peer: IpAddr, headers: &HeaderMap, mut show: impl FnMut(Hop, &str)) {
        let mut step = |address: IpAddr, entry: &str| {
            let trusted = self.contains(address);
            let address = address.to_canonical();
            show(Hop { address, trusted }, entry);
            trusted
        };
        if !step(peer, "") {
            return;
        }
        let lines: Vec<&str> = headers
            .get_all(self.header.name())
            .map(|line| line.to_str().unwrap_or_default())
            .collect();
        // A quoted comma would be split, too: what a client quotes stands left of what a proxy adds.
        for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let node = match self.header {
                ForwardedHeader::XForwarded => Some(entry.trim()),
                ForwardedHeader::Forwarded => parameter(entry, "for"),
            };
            match node.and_then(parse_node) {
                Some(address) if step(address, entry) => {}
                _ => break,
            }
        }
    }
}

/// The value of `name` in an element of `Forwarded`: `for="[2001:db8::1]:80";proto=https`.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().trim_matches('"'))
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn parse_node(node: &str) -> Option<IpAddr> {
    if let Ok(address) = node.parse() {
        return Some(address);
    }
    if let Some(bracketed) = node.strip_prefix('[') {
        let (address, _port) = bracketed.split_once(']')?;
        return address.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let (address, _port) = node.split_once(':')?;
    address.parse().ok()
}
