//! Addresses that other people's records may lead to.

use std::net::IpAddr;

/// An address that whoever writes DNS records may lead us to: not this host, not this network, not a group.
pub fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            // RFC 1122 §3.2.1.3, RFC 1918, RFC 3927, RFC 6598
            let [first, second, ..] = ip.octets();
            let shared = first == 100 && (64..128).contains(&second);
            let nowhere = first == 0 || first >= 224;
            !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || shared || nowhere)
        }
        IpAddr::V6(ip) => {
            // RFC 4193, RFC 4291
            let local = ip.is_unique_local() || ip.is_unicast_link_local();
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || local)
        }
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
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["192.0.2.1", "172.32.0.1", "100.128.0.1", "2001:db8::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
