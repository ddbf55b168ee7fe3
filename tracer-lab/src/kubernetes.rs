//! A real Kubernetes API: etcd and kube-apiserver on this machine, to be filled, killed, compacted and got in the way
//! of. No controller runs and no kubelet: what is there is what a test put there, as it was written.

mod api;
mod assets;
mod etcd;
mod folder;
mod identity;
mod load;
mod objects;
mod process;
mod proxy;
mod server;

pub use api::Api;
pub use etcd::Etcd;
pub(crate) use folder::Folder;
pub use identity::{ServiceAccount, kubeconfig};
pub use load::Load;
pub use objects::{documents, istio_crds};
pub(crate) use process::until;
pub use proxy::{Fault, Proxy};
pub use server::{ApiServer, Options};
pub(crate) use server::{etcd_flags, service_account_keys};
