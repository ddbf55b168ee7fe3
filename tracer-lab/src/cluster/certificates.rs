//! Who is who in the cluster: the API server's certificates, everybody's token and kubeconfig.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType};

use super::network::{API, SERVICES};
use crate::identity::{Authority, Signed, named};
use crate::kubernetes::{Api, kubeconfig, service_account_keys};

pub(super) const ADMIN: &str = "admin";

/// Whose kubeconfig, the name that the API knows, its group.
const USERS: [(&str, &str, &str); 4] = [
    (ADMIN, ADMIN, "system:masters"),
    ("controller-manager", "system:kube-controller-manager", ""),
    ("scheduler", "system:kube-scheduler", ""),
    ("proxy", "system:kube-proxy", ""),
];

const API_NAMES: [&str; 5] =
    ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"];

/// Into `folder`, which only root may enter.
pub(super) fn write(folder: &Path, nodes: u8) -> Result<()> {
    let authority = Authority::new()?;
    let mut server = CertificateParams::default();
    server.distinguished_name = named("kube-apiserver");
    let addresses = [Ipv4Addr::LOCALHOST, API, first_service()].map(|address| SanType::IpAddress(address.into()));
    let names = API_NAMES.iter().map(|name| Ok(SanType::DnsName((*name).try_into()?)));
    server.subject_alt_names = names.chain(addresses.into_iter().map(Ok)).collect::<Result<_>>()?;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server = authority.sign(&server)?;

    let mut client = CertificateParams::default();
    client.distinguished_name = named("apiserver-kubelet-client");
    client.distinguished_name.push(DnType::OrganizationName, "system:masters");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client = authority.sign(&client)?;

    let [private, public] = service_account_keys()?;
    let mut users = USERS.map(|(file, user, group)| (file.to_owned(), user.to_owned(), group)).to_vec();
    users.extend((1..=nodes).map(|node| (kubelet(node), format!("system:node:node{node}"), "system:nodes")));
    let tokens = users.iter().map(|(file, user, group)| format!("{},{user},{user},\"{group}\"\n", token(file)));
    let Signed { certificate, key } = server;
    let files = [
        ("ca.crt", authority.certificate().to_owned()),
        ("apiserver.crt", certificate),
        ("apiserver.key", key),
        ("kubelet-client.crt", client.certificate),
        ("kubelet-client.key", client.key),
        ("service-account.key", private),
        ("service-account.pub", public),
        ("tokens.csv", tokens.collect()),
    ];
    for (file, text) in files {
        fs::write(folder.join(file), text).with_context(|| format!("cannot write {file}"))?;
    }
    for (file, _, _) in &users {
        let text =
            kubeconfig(&format!("https://{API}:6443"), Some(&ca(folder)), &format!("{{token: {}}}", token(file)));
        fs::write(kubeconfig_of(folder, file), text).with_context(|| format!("cannot write {file}'s kubeconfig"))?;
    }
    Ok(())
}

pub(super) fn kubelet(node: u8) -> String {
    format!("kubelet-node{node}")
}

pub(super) fn kubeconfig_of(folder: &Path, user: &str) -> PathBuf {
    folder.join(format!("{user}.kubeconfig"))
}

pub(super) fn ca(folder: &Path) -> PathBuf {
    folder.join("ca.crt")
}

/// As the cluster's administrator.
pub(super) fn api(folder: &Path) -> Api {
    Api::new(format!("{API}:6443"), ca(folder), &token(ADMIN))
}

/// The cluster is reached from this machine alone, and lives for minutes.
fn token(user: &str) -> String {
    format!("{user}-token")
}

/// `kubernetes.default` has the first address of the range.
fn first_service() -> Ipv4Addr {
    Ipv4Addr::from_bits(SERVICES.network().to_bits() + 1)
}
