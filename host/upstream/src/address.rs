//! Which addresses are whose. The lists are IANA's special-purpose registries for IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wharf_call::egress::DestinationHost;

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// On the open internet.
    Public,
    /// This machine.
    Loopback,
    /// A private network: RFC 1918, RFC 4193, and the shared space of carriers (RFC 6598).
    Private,
    /// The link (RFC 3927, RFC 4291), on which clouds offer their metadata.
    LinkLocal,
    /// The metadata service of a cloud at an address that looks private or public.
    Metadata,
    /// No host's: unspecified, multicast, broadcast, documentation, benchmarks, deprecated, reserved, or an
    /// address that would smuggle a non-public IPv4 address through a translator.
    Reserved,
}

/// Metadata services outside of link-local space: Alibaba, Azure, Oracle, and AWS on IPv6.
const METADATA_V4: [[u8; 4]; 3] = [[100, 100, 100, 200], [168, 63, 129, 16], [192, 0, 0, 192]];
const METADATA_V6: [u16; 8] = [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254];

impl AddressKind {
    /// The kind of `address`. An IPv4-mapped address is what it maps.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// As it is called in a message: "10.0.0.1 is a private address".
    pub(crate) fn phrase(self) -> &'static str {
        match self {
            AddressKind::Public => "a public address",
            AddressKind::Loopback => "a loopback address",
            AddressKind::Private => "a private address",
            AddressKind::LinkLocal => "a link-local address",
            AddressKind::Metadata => "the address of a cloud's metadata service",
            AddressKind::Reserved => "a reserved address",
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressKind {
    match address.octets() {
        octets if METADATA_V4.contains(&octets) => AddressKind::Metadata,
        [127, ..] => AddressKind::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => AddressKind::Private,
        [169, 254, ..] => AddressKind::LinkLocal,
        [0, ..] | [224..=255, ..] => AddressKind::Reserved, // "this network", multicast, future use, broadcast
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => AddressKind::Reserved,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressKind::Reserved, // documentation
        _ => AddressKind::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressKind {
    let public_inside = |high: u16, low: u16| {
        let bits = u32::from(high) << 16 | u32::from(low);
        match of_v4(Ipv4Addr::from_bits(bits)) {
            AddressKind::Public => AddressKind::Public,
            _ => AddressKind::Reserved,
        }
    };
    match address.segments() {
        METADATA_V6 => AddressKind::Metadata,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        [0xfc00..=0xfdff, ..] => AddressKind::Private,
        [0xfe80..=0xfebf, ..] => AddressKind::LinkLocal,
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => public_inside(high, low), // NAT64, RFC 6052
        [0x2002, high, low, ..] => public_inside(high, low),               // 6to4, RFC 3056
        [0x2001, 0..=0x1ff, ..] => AddressKind::Reserved, // protocols: Teredo, ORCHID, benchmarks
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressKind::Reserved, // documentation
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        // All else is not global unicast: unspecified, IPv4-compatible, site-local, multicast, local NAT64.
        _ => AddressKind::Reserved,
    }
}

/// Whether a grant of `host`, `private` or not, allows to connect to `address`, which the host resolved to.
pub(crate) fn permits(host: &DestinationHost, private: bool, address: IpAddr) -> bool {
    let kind = AddressKind::of(address);
    match host {
        DestinationHost::Ip(granted) => *granted == address,
        host if host.is_localhost() => kind == AddressKind::Loopback,
        DestinationHost::Name(_) => match kind {
            AddressKind::Public => true,
            AddressKind::Loopback | AddressKind::Private => private,
            AddressKind::LinkLocal | AddressKind::Metadata | AddressKind::Reserved => false,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

    use wharf_call::OriginGrant;

    use super::*;

    #[test]
    fn every_kind_of_address_is_told_apart() {
        use AddressKind::*;
        for (kind, addresses) in [
            (Public, "1.1.1.1 172.15.0.1 172.32.0.1 100.63.0.1 100.128.0.1 192.0.1.1 223.255.255.255"),
            (Public, "2606:4700::1111 2a00:1450::1 64:ff9b::808:808 2002:808:808::1 ::ffff:8.8.8.8"),
            (Loopback, "127.0.0.1 127.255.255.254 ::1 ::ffff:127.0.0.1"),
            (Private, "10.0.0.1 172.16.0.1 172.31.255.1 192.168.1.1 100.64.0.1 100.127.0.1 fc00::1 fdff::1"),
            (Private, "::ffff:10.0.0.1"),
            (LinkLocal, "169.254.169.254 169.254.0.1 fe80::1 febf::1 ::ffff:169.254.169.254"),
            (Metadata, "100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254"),
            (Reserved, "0.0.0.0 0.1.2.3 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 198.18.0.1 192.0.0.1"),
            (Reserved, "192.0.2.1 198.51.100.1 203.0.113.1 192.88.99.1 :: ::7f00:1 ::a00:1 2001:db8::1"),
            (Reserved, "64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::7f00:1 2002:7f00:1::1 2002:a00:1::"),
            (Reserved, "2001::1 2001:0:7f00:1:: 2001:2::1 3fff::1 fec0::1 ff02::1 100::1 5f00::1 4000::1"),
        ] {
            for text in addresses.split(' ') {
                assert_eq!(AddressKind::of(text.parse().unwrap()), kind, "{text}");
            }
        }
    }

    #[test]
    fn a_grant_reaches_the_addresses_it_stands_for() {
        let private = |text: &str| OriginGrant::parse(text).unwrap().with_private(true);
        let plain = |text: &str| OriginGrant::parse(text).unwrap();
        for (grant, address, expected) in [
            (plain("http://a.example"), "1.1.1.1", true),
            (plain("http://a.example"), "10.0.0.1", false),
            (plain("http://a.example"), "127.0.0.1", false),
            (private("http://a.example"), "10.0.0.1", true),
            (private("http://a.example"), "::1", true),
            (private("http://a.example"), "169.254.169.254", false),
            (private("http://a.example"), "100.100.100.200", false),
            (private("http://a.example"), "0.0.0.0", false),
            (plain("http://localhost"), "127.0.0.1", true),
            (plain("http://localhost"), "10.0.0.1", false),
            (plain("http://169.254.169.254"), "169.254.169.254", true),
            (plain("http://10.0.0.1"), "10.0.0.2", false),
        ] {
            let permitted = permits(grant.host(), grant.private(), address.parse().unwrap());
            assert_eq!(permitted, expected, "{grant} {address}");
        }
    }
}
