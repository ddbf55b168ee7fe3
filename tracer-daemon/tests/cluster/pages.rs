//! What README and the page for people on call show, typed into a shell of a machine that reaches the cluster: word for
//! word, but for the names of pods and flows.

use crate::kubectl::{Kubectl, Pod, shown};
use std::fmt::Write;
use std::fs;
use std::process::Command;

/// Words of the pages, and what stands for them here.
struct Names<'a> {
    first: &'a Pod,
    second: &'a Pod,
}

/// Of the daemon on its default socket, in a mount namespace that goes with the shell: this machine may have its own.
const PRELUDE: &str = r#"
mount --make-rprivate /
mkdir -p /run/mesh-tracer
mount -t tmpfs tmpfs /run/mesh-tracer
mount -t tmpfs tmpfs /usr/local/bin
say() { echo "== $*" >&2; }
until_says() {
    for _ in $(seq 600); do grep -q "$1" "$2" && return; sleep 0.1; done
    cat "$2" >&2; exit 1
}
"#;

pub(crate) fn are_as_they_say(kubectl: &Kubectl<'_>, first: &Pod, second: &Pod) {
    let names = Names { first, second };
    let commands = |page, heading| {
        let lines = shown(page, heading).into_iter();
        lines.map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned())
    };
    let mut use_it: Vec<String> = commands("README.md", "Use it").collect();
    assert_eq!(use_it.remove(0), "cargo xtask build");
    let (runs, asks): (Vec<_>, Vec<_>) = use_it.into_iter().partition(|line| line.contains("mesh-tracer run "));
    let on_call = ["First", "Then"].into_iter().flat_map(|heading| commands("docs/oncall.md", heading));
    let mut script = PRELUDE.to_owned();
    for run in &runs {
        write!(script, "say '{run}'\n{run} >out 2>log & P=$!\nuntil_says 'INFO ready' log\nkill $P\nwait $P\n")
            .unwrap();
    }
    // Whoever is asked from here on; a rejected call gives it something to tell.
    let daemon = &runs[0];
    writeln!(script, "{daemon} >flows 2>log & D=$!\nuntil_says 'INFO ready' log").unwrap();
    script += &names.rejected_call();
    writeln!(script, "until_says '\"pod\":\"{}\"' flows", second.name).unwrap();
    for ask in asks.into_iter().chain(on_call) {
        script += &names.typed(&ask);
    }
    script += "kill $D\nwait $D\n";
    let folder = kubectl.folder().join("pages");
    fs::create_dir_all(&folder).unwrap();
    let facts = crate::here("../tracer-lab/meshes/demo/cluster.yaml");
    fs::copy(facts, folder.join("cluster.yaml")).unwrap();
    fs::write(folder.join("script"), &script).unwrap();
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "timeout", "300", "sh", "-eu", "script"]);
    let output = kubectl.beside(&mut shell).current_dir(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
}

impl Names<'_> {
    /// Nobody listens there.
    fn rejected_call(&self) -> String {
        let Pod { namespace, name, .. } = self.first;
        let url = format!("http://{}:9999/", self.second.ip);
        format!("kubectl exec --namespace={namespace} {name} -- sh -c 'wget -q -O - {url} || true'\n")
    }

    fn typed(&self, line: &str) -> String {
        let line = line
            .replace("--from shop/web-0", &format!("--from demo/{}", self.first.name))
            .replace("10.244.1.7", &self.second.ip)
            .replace("shop/web-0", &format!("demo/{}", self.second.name))
            .replace("shop/web", "demo/web");
        let mut typed = format!("say '{}'\n", line.replace('\'', ""));
        if line.contains("FLOW_ID") {
            typed +=
                "ID=$(mesh-tracer observe --rejected -o json --last 1 | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/')\n";
            typed += &line.replace("FLOW_ID", "$ID");
        } else if line.contains("observe -f") {
            // It shows what happens from now on.
            writeln!(typed, "{line} >out & P=$!").unwrap();
            let call = self.rejected_call();
            writeln!(typed, "for _ in $(seq 100); do\n{call}[ -s out ] && break\ndone").unwrap();
            typed += "until_says REJECTED out\nkill -INT $P\nwait $P";
        } else if line.contains("mesh-tracer page") {
            write!(typed, "{line} >out & P=$!\nuntil_says http://127.0.0.1 out\nkill -INT $P\nwait $P").unwrap();
        } else if line.contains(" check") || line.contains(" status") {
            // Degraded is an answer: no Istio is installed here.
            write!(typed, "{{ {line}; }} || [ $? = 1 ]").unwrap();
        } else {
            typed += &line;
        }
        typed + "\n"
    }
}
