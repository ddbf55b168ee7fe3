//! The addresses of a pod.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;

/// Of a pod with one address it lies in the pod itself; of a dual-stack one the primary comes first.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Ips(Held);

#[derive(Clone, PartialEq, Eq, Default)]
enum Held {
    #[default]
    None,
    One([IpAddr; 1]),
    Several(Box<[IpAddr]>),
}

impl Deref for Ips {
    type Target = [IpAddr];

    fn deref(&self) -> &[IpAddr] {
        match &self.0 {
            Held::None => &[],
            Held::One(one) => one,
            Held::Several(several) => several,
        }
    }
}

impl FromIterator<IpAddr> for Ips {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(ips: I) -> Self {
        let mut ips = ips.into_iter();
        let held = match (ips.next(), ips.next()) {
            (None, _) => Held::None,
            (Some(one), None) => Held::One([one]),
            (Some(first), Some(second)) => Held::Several([first, second].into_iter().chain(ips).collect()),
        };
        Self(held)
    }
}

impl<'a> IntoIterator for &'a Ips {
    type Item = &'a IpAddr;
    type IntoIter = std::slice::Iter<'a, IpAddr>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Ips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_they_are_they_keep_their_order() {
        let all: Vec<IpAddr> = ["10.0.0.1", "fd00::1", "10.0.0.2"].map(|ip| ip.parse().expect("an address")).into();
        for count in 0..=all.len() {
            let ips: Ips = all[..count].iter().copied().collect();
            assert_eq!(*ips, all[..count]);
        }
    }
}
