//! Addresses that other people's records may lead to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address that whoever writes DNS records may lead us to: not this host, not this network, not a group.
pub fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => {
            // RFC 4193, RFC 4291
            let local = ip.is_unique_local() || ip.is_unicast_link_local();
            let nowhere = ip.is_loopback() || ip.is_unspecified() || ip.is_multicast();
            !local && !nowhere && embedded(ip).is_none_or(is_public_v4)
        }
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    // RFC 1122 §3.2.1.3, RFC 1918, RFC 3927, RFC 6598, RFC 6890, RFC 2544
    let [first, second, third, _] = ip.octets();
    let shared = first == 100 && (64..128).contains(&second);
    let benchmark = first == 198 && second & 0xFE == 18;
    let assigned = (first, second, third) == (192, 0, 0);
    let nowhere = first == 0 || first >= 224;
    !(ip.is_loopback() || ip.is_private() || ip.is_link_local())
        && !(shared || benchmark || assigned || nowhere)
}

/// The IPv4 address that a gateway on the way makes of it: NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056), and the
/// compatible form of old (RFC 4291 §2.5.5.1).
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = Ipv4Addr::from_bits(u32::try_from(ip.to_bits() & u128::from(u32::MAX)).unwrap_or_default());
    match ip.segments() {
        [0x64, 0xFF9B, 0 | 1, ..] | [0, 0, 0, 0, 0, 0, ..] => Some(last),
        [0x2002, high, low, ..] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::is_public;

    #[test]
    fn addresses_that_no_record_may_lead_to() {
        for private in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "198.19.255.255",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "192.0.2.1",
            "172.32.0.1",
            "100.128.0.1",
            "198.20.0.1",
            "2001:db8::1",
            "64:ff9b::192.0.2.1",
            "2002:c000:201::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
