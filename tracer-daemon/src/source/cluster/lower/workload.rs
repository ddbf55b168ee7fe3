//! The workload that a pod belongs to, from its owner's name alone: ReplicaSets and Jobs are not asked for.

use crate::source::cluster::object::Metadata;
use crate::source::cluster::values::name;
use tracer_engine::mesh::facts::Workload;

pub(super) fn of(metadata: &Metadata) -> Workload {
    let Some(owner) = metadata.owner_references.iter().find(|owner| owner.controller) else {
        return workload("Pod", &metadata.name);
    };
    let (kind, owner_name) = (&*owner.kind, &*owner.name);
    let label = |key: &str| metadata.labels.get(key).map(String::as_str);
    if kind == "ReplicaSet" {
        let template = |key| label(key).and_then(|hash| without_hash(owner_name, hash));
        if let Some(deployment) = template("pod-template-hash") {
            return workload("Deployment", deployment);
        }
        if let Some(rollout) = template("rollouts-pod-template-hash") {
            return workload("Rollout", rollout);
        }
    }
    if kind == "Job"
        && let Some(cron_job) = without_schedule(owner_name)
    {
        return workload("CronJob", cron_job);
    }
    workload(kind, owner_name)
}

fn workload(kind: &str, of: &str) -> Workload {
    Workload { kind: name(kind), name: name(of) }
}

/// `web-7f6d8b9c4` with hash `7f6d8b9c4` -> `web`
fn without_hash<'n>(replica_set: &'n str, hash: &str) -> Option<&'n str> {
    replica_set.strip_suffix(hash)?.strip_suffix('-').filter(|rest| !hash.is_empty() && !rest.is_empty())
}

/// `backup-29312345` -> `backup`: the scheduled minute in 8 digits or, in older clusters, the second in 10.
fn without_schedule(job: &str) -> Option<&str> {
    let (cron_job, schedule) = job.rsplit_once('-')?;
    let scheduled = (8..=10).contains(&schedule.len()) && schedule.bytes().all(|byte| byte.is_ascii_digit());
    (scheduled && !cron_job.is_empty()).then_some(cron_job)
}
