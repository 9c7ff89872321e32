//! A block of IP addresses in CIDR notation.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::catalogue::{Kind, SettingValue};

/// A block of IP addresses: `10.0.0.0/8`, `fd00::/8`, or a single address (RFC 4632, RFC 4291).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpNetwork(IpNet);

/// The text is not an IP address or an `ADDRESS/PREFIX` block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an IP address or a block such as \"10.0.0.0/8\"")]
pub struct IpNetworkError;

impl IpNetwork {
    /// The block.
    pub const fn get(self) -> IpNet {
        self.0
    }
}

impl FromStr for IpNetwork {
    type Err = IpNetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let single = || text.parse::<IpAddr>().map(IpNet::from);
        let block = text.parse::<IpNet>().or_else(|_| single());
        block.map(Self).map_err(|_| IpNetworkError)
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for IpNetwork {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl SettingValue for IpNetwork {
    const KIND: Kind = Kind::Text;

    fn to_toml(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_address_is_the_smallest_block() {
        for (text, block) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(text.parse::<IpNetwork>().unwrap().to_string(), block);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "host/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
        ] {
            assert_eq!(text.parse::<IpNetwork>(), Err(IpNetworkError), "{text}");
        }
    }
}
