//! The mesh's certificates: what istiod would sign, from an authority of the run's own.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

pub(crate) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Result<Authority> {
        let key = KeyPair::generate().context("cannot make the authority's key")?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = named("tracer-lab");
        let certificate = params.self_signed(&key).context("cannot sign the authority's certificate")?;
        Ok(Authority { certificate: certificate.pem(), issuer: Issuer::new(params, key) })
    }

    /// Its own certificate, as PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate of such a kind, with a key of its own.
    pub(crate) fn sign(&self, params: &CertificateParams) -> Result<Signed> {
        let key = KeyPair::generate().context("cannot make a key")?;
        let certificate = params.signed_by(&key, &self.issuer).context("cannot sign")?;
        Ok(Signed { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Writes `cert.pem`, `key.pem` and `ca.pem` into `folder`. They are worth nothing outside the run, and both the
    /// proxy and applications of any uid read them.
    pub(crate) fn issue(&self, namespace: &str, service_account: &str, folder: &Path) -> Result<()> {
        let identity = format!("spiffe://cluster.local/ns/{namespace}/sa/{service_account}");
        let mut params = CertificateParams::default();
        params.distinguished_name = named(service_account);
        params.subject_alt_names = vec![SanType::URI(identity.as_str().try_into().context("no such URI")?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let Signed { certificate, key } = self.sign(&params).with_context(|| format!("cannot sign for {identity}"))?;
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let files = [("cert.pem", certificate), ("key.pem", key), ("ca.pem", self.certificate.clone())];
        for (file, text) in files {
            let path = folder.join(file);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

pub(crate) fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}
