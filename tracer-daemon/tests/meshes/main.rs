//! The four meshes of `tracer-lab`, with a real kernel and real Envoys: every recorded call gets its recorded verdict.
//!
//! Each mesh is brought up and called once, with `mesh-tracer run` beside it that records a tape. The journal is
//! judged as both ends saw it; then the tape is played again for each pod with the events of its network namespace
//! alone, so that the same calls are judged as the source's node alone and the destination's node alone would.
//!
//! Needs root, Envoy and the program `tracer-lab` (`cargo build -p tracer-lab`), and fails without them.
//! With `MESH_TRACER_KEEP_TAPES=1` the tapes become the golden ones of `tests/tapes`.

mod judge;
mod perspective;
mod stage;

use judge::Score;
use stage::Performance;

#[test]
fn demo() {
    judge("demo");
}

#[test]
fn basic() {
    judge("basic");
}

#[test]
fn strict() {
    judge("strict");
}

#[test]
fn registry_only() {
    judge("registry-only");
}

fn judge(mesh: &str) {
    let performance = Performance::of(mesh);
    let mut both = Score::new(mesh, "both ends");
    let mut source = Score::new(mesh, "the source alone");
    let mut destination = Score::new(mesh, "the destination alone");
    for scene in &performance.scenes {
        both.exact(scene, performance.told_of(scene));
    }
    for pod in &performance.pods {
        let told = perspective::of_pod(&performance.tape, pod);
        for scene in performance.scenes.iter().filter(|scene| scene.call.from == pod.name) {
            source.exact(scene, told.iter().find(|record| scene.is_told_by(record)));
        }
        for scene in performance.scenes.iter().filter(|scene| scene.call.from != pod.name) {
            let Some(handshake) = performance.handshake_of(scene) else { continue };
            for record in told.iter().filter(|record| record.handshake.as_deref() == Some(handshake)) {
                destination.never_wrong(scene, record);
            }
        }
    }
    destination.count_unseen(&performance.scenes);
    for score in [&both, &source, &destination] {
        println!("{score}");
    }
    performance.keep_tape(mesh);
    let wrong: Vec<_> = [both, source, destination].into_iter().flat_map(Score::into_wrong).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
