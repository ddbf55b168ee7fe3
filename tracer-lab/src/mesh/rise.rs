//! Bringing a mesh up, in order: what it needs, the network, the applications, the proxies, and that they are ready.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result};

use super::listener::Listener;
use super::{Mesh, Options};
use crate::identity::Authority;
use crate::netns::Netns;
use crate::pod::Pod;
use crate::recipe::Recipe;
use crate::recipe::cluster::PodSpec;
use crate::run::{Run, live, sweep};
use crate::sidecar::{Envoy, Sidecar};
use crate::{cgroup, interrupt, network, program, requirements, ztunnel};

pub(super) fn rise(name: &str, options: &Options) -> Result<Mesh> {
    requirements::check()?;
    let envoy = Envoy { program: requirements::envoy(options.envoy.as_deref())?, concurrency: options.concurrency };
    let program = options.program.clone().map_or_else(program::locate, Ok)?;
    let recipe = Recipe::read(name)?;
    sweep::clean().context("cannot remove what a killed run has left")?;

    // From here on, dropping `run` removes whatever there is.
    let run = interrupt::hold(Run::begin()?)?;
    let namespaces = run.make(|| network::create(&run, &recipe))?;
    let specs = &recipe.cluster.pods;
    let pods = specs.iter().zip(namespaces).map(|(spec, netns)| run.make(|| pod(&run, spec, netns, &program)));
    let pods: Vec<Pod> = pods.collect::<Result<_>>()?;
    let authority = Authority::new()?;

    let mut sidecars = Vec::new();
    for (number, (spec, pod)) in specs.iter().zip(&pods).enumerate().filter(|(_, (spec, _))| spec.sidecar) {
        let account = &spec.service_account;
        sidecars.push(envoy.start(&run, pod, account, number as u32, &recipe.proxies, &authority)?);
    }
    let own = specs.iter().zip(&pods).find(|(spec, _)| spec.ztunnel).map(|(_, pod)| pod);
    for (spec, pod) in specs.iter().zip(&pods).filter(|(spec, _)| spec.ambient) {
        let own =
            own.with_context(|| format!("{} is ambient, and no pod is ztunnel's (`app: ztunnel`)", pod.name()))?;
        ztunnel::start(&run, &recipe, spec, pod, own.cgroup(), &authority)?;
    }
    let mut listeners = Vec::new();
    for pod in &pods {
        if let Some(ports) = recipe.apps.get(pod.name()) {
            listeners.push(Listener::start(&run, pod, ports)?);
        }
    }
    listeners.iter().try_for_each(Listener::wait_until_listening)?;
    sidecars.iter().try_for_each(Sidecar::wait_until_ready)?;

    let Recipe { folder, cluster: _, apps: _, routes: _, strict: _, calls, proxies: _ } = recipe;
    let (callers, tokens) = (Mutex::new(BTreeMap::new()), AtomicU64::new(1));
    Ok(Mesh { calls, folder, pods, listeners, callers, authority, tokens, run })
}

fn pod(run: &Run, spec: &PodSpec, netns: Netns, program: &Path) -> Result<Pod> {
    let PodSpec { name, uid, ip, sidecar, .. } = spec;
    let cgroup = run.pod_cgroup(uid);
    cgroup::create(&cgroup)?;
    let folder = run.folder().join(name.dotted());
    fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let netns_inode = netns.inode()?;
    let (name, uid, program) = (name.clone(), uid.clone(), program.to_path_buf());
    let file = folder.join(live::POD);
    let pod = Pod { name, uid, ip: *ip, sidecar: *sidecar, netns, netns_inode, cgroup, folder, program };
    fs::write(&file, serde_json::to_string(&pod)?).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(pod)
}
