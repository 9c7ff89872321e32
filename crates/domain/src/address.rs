//! Ranges of network addresses.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A range of addresses as CIDR writes it (RFC 4632): `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressRange {
    /// The first address of the range.
    base: IpAddr,
    /// How many leading bits all its addresses share.
    prefix: u8,
}

/// The text is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be an address such as 192.0.2.7 or a range such as 192.0.2.0/24")]
pub struct InvalidAddressRange;

/// All addresses as 128 bits, with how many bits the mapping of IPv4 puts before.
fn bits(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

const fn mask(prefix: u8) -> u128 {
    match prefix {
        0 => 0,
        prefix => u128::MAX << (128 - prefix),
    }
}

impl AddressRange {
    /// Whether `address` lies in the range. An IPv4 address written as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.base.is_ipv4()
            && (bits(address) ^ bits(self.base)) & mask(self.prefix) == 0
    }
}

impl FromStr for AddressRange {
    type Err = InvalidAddressRange;

    /// Bits beyond the prefix are cleared: `192.0.2.7/24` is `192.0.2.0/24`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| InvalidAddressRange)?;
        let canonical = address.to_canonical();
        let width = if canonical.is_ipv4() { 32 } else { 128 };
        let written_width = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                let written: u8 = digits.parse().map_err(|_| InvalidAddressRange)?;
                // `::ffff:192.0.2.0/120` is `192.0.2.0/24`.
                written
                    .checked_sub(written_width - width)
                    .filter(|prefix| *prefix <= width)
                    .ok_or(InvalidAddressRange)?
            }
            Some(_) => return Err(InvalidAddressRange),
        };
        let first = bits(canonical) & mask(prefix);
        let base = match canonical {
            IpAddr::V4(_) => IpAddr::V4(
                u32::try_from(first >> 96)
                    .map_err(|_| InvalidAddressRange)?
                    .into(),
            ),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(first)),
        };
        Ok(Self { base, prefix })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(range: &str, address: &str) -> bool {
        let range: AddressRange = range.parse().unwrap();
        range.contains(address.parse().unwrap())
    }

    #[test]
    fn a_range_holds_what_shares_its_prefix() {
        assert!(holds("192.0.2.0/24", "192.0.2.255") && !holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("0.0.0.0/0", "203.0.113.9") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("::/0", "192.0.2.1"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.8"));
        assert!(holds("192.0.2.0/24", "::ffff:192.0.2.9"));
        assert!(holds("::ffff:192.0.2.0/120", "192.0.2.9"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "localhost",
            "192.0.2.0/33",
            "::/129",
            "192.0.2.0/-1",
            "1.2.3.4/",
            "1.2.3.4/+8",
        ] {
            assert_eq!(
                text.parse::<AddressRange>(),
                Err(InvalidAddressRange),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn ranges_are_written_as_they_are_read(bits: u32, prefix in 0u8..=32) {
            let text = format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(bits));
            let range: AddressRange = text.parse().unwrap();
            prop_assert_eq!(range.to_string().parse(), Ok(range));
            prop_assert!(range.contains(std::net::Ipv4Addr::from_bits(bits).into()));
        }
    }
}
