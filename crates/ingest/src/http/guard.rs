//! Which hosts and addresses a source may reach (I9).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Origin, Url};

/// Which URLs may be requested, and which of them with credentials.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    origin: Origin,
    allowed_hosts: Vec<String>,
    allow_private_networks: bool,
}

/// A URL that leads where the source must not go.
#[derive(Debug, thiserror::Error)]
#[error(
    "{what} leads to `{url}`, outside of the source's origin: `connection.allowed_hosts` can allow the host \
         (credentials are never sent there)"
)]
pub(crate) struct Foreign {
    what: &'static str,
    url: String,
}

impl Guard {
    pub(crate) fn new(
        base_url: &Url,
        allowed_hosts: &[String],
        allow_private_networks: bool,
    ) -> Self {
        Self {
            origin: base_url.origin(),
            allowed_hosts: allowed_hosts.to_vec(),
            allow_private_networks,
        }
    }

    /// Whether credentials may go with a request to `url`: same scheme, host and port.
    pub(crate) fn is_home(&self, url: &Url) -> bool {
        url.origin() == self.origin
    }

    /// Refuses a URL that an answer names, when it leads elsewhere. `what` is where the URL stood.
    pub(crate) fn check(&self, url: &Url, what: &'static str) -> Result<(), Foreign> {
        let is_allowed = self.is_home(url)
            || (matches!(url.scheme(), "https" | "http")
                && !(self.origin_is_secure() && url.scheme() == "http")
                && url.host_str().is_some_and(|host| {
                    self.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
                }));
        match is_allowed {
            true => Ok(()),
            false => Err(Foreign { what, url: without_query(url) }),
        }
    }

    /// The address that a URL names itself, when it must not be reached.
    pub(crate) fn forbidden_literal(&self, url: &Url) -> Option<IpAddr> {
        let address = match url.host()? {
            Host::Domain(_) => return None,
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
        };
        (!self.allow_private_networks && is_private(address)).then_some(address)
    }

    pub(crate) fn allows_private_networks(&self) -> bool {
        self.allow_private_networks
    }

    fn origin_is_secure(&self) -> bool {
        matches!(&self.origin, Origin::Tuple(scheme, _, _) if scheme == "https")
    }
}

/// A URL without what may be secret in it.
pub(crate) fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// Whether an address is of this machine, of a private network, or of no network at all.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_private_v4(v4),
            None => {
                v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || v6.is_unique_local()
                    || v6.is_unicast_link_local()
            }
        },
    }
}

fn is_private_v4(v4: Ipv4Addr) -> bool {
    let [a, b, ..] = v4.octets();
    v4.is_loopback()
        || v4.is_private()
        || v4.is_link_local()
        || v4.is_unspecified()
        || v4.is_broadcast()
        || v4.is_multicast()
        || a == 0
        // Shared address space (RFC 6598) and benchmarking (RFC 2544).
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
}

/// The IPv4 address within an IPv6 one: mapped, or translated (64:ff9b::/96, 2002::/16).
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match s {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => v6.to_ipv4_mapped(),
    }
}

/// Looks names up as the system does, and leaves out addresses of private networks: a name of the outside
/// may lead inside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicOnly;

/// All addresses of a name are private.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` has the private address {address}")]
pub(crate) struct OnlyPrivate {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let all: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> =
                all.iter().copied().filter(|address| !is_private(address.ip())).collect();
            match (public.is_empty(), all.first()) {
                (true, Some(first)) => Err(OnlyPrivate { name, address: first.ip() }.into()),
                _ => Ok(Box::new(public.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::metadata("169.254.169.254")]
    #[case::loopback("127.0.0.1")]
    #[case::ten("10.1.2.3")]
    #[case::shared("100.64.0.1")]
    #[case::any("0.0.0.0")]
    #[case::six("::1")]
    #[case::mapped("::ffff:169.254.169.254")]
    #[case::translated("64:ff9b::a00:1")]
    #[case::local("fd00:ec2::254")]
    #[case::link("fe80::1")]
    fn i9_private_addresses(#[case] address: IpAddr) {
        assert!(is_private(address));
    }

    #[rstest]
    #[case("93.184.216.34")]
    #[case("2606:2800:220:1::1")]
    fn i9_public_addresses(#[case] address: IpAddr) {
        assert!(!is_private(address));
    }

    #[rstest]
    #[case::same("https://api.example.com/next", true, true)]
    #[case::default_port("https://api.example.com:443/next", true, true)]
    #[case::other_port("https://api.example.com:8443/next", false, false)]
    #[case::plain("http://api.example.com/next", false, false)]
    #[case::allowed("https://files.example.com/a", true, false)]
    #[case::allowed_but_plain("http://files.example.com/a", false, false)]
    #[case::suffix("https://api.example.com.evil.org/", false, false)]
    #[case::user("https://api.example.com@evil.org/", false, false)]
    fn i9_where_urls_may_lead(#[case] url: &str, #[case] allowed: bool, #[case] home: bool) {
        let base = Url::parse("https://api.example.com/v2").unwrap();
        let guard = Guard::new(&base, &["files.example.com".to_owned()], false);
        let url = Url::parse(url).unwrap();
        assert_eq!(guard.check(&url, "the next URL").is_ok(), allowed);
        assert_eq!(guard.is_home(&url), home);
    }

    #[rstest]
    #[case("http://169.254.169.254/latest")]
    #[case("http://2852039166/latest")]
    #[case("http://0xA9.254.169.254/latest")]
    #[case("http://[::ffff:169.254.169.254]/latest")]
    fn i9_addresses_in_urls_are_seen_however_they_are_written(#[case] url: &str) {
        let base = Url::parse(url).unwrap();
        assert!(Guard::new(&base, &[], false).forbidden_literal(&base).is_some());
        assert!(Guard::new(&base, &[], true).forbidden_literal(&base).is_none());
    }
}
