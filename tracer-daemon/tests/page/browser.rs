//! The page in a real Chromium, with ten thousand flows on it. `MESH_TRACER_KEEP_PICTURES=FOLDER` keeps what it looked like.

use crate::chromium::Tab;
use crate::daemon::{Daemon, Page};
use crate::flows::lines;
use serde_json::{Value, json};
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

const FLOWS: usize = 10_000;
/// Milliseconds that no task of the page's main thread may take: keys and frames wait for it.
const TASK: f64 = 50.0;

fn explained() -> String {
    let answer: Value = json!({
        "version": "v1", "id": "n1-1-3", "class": "rejected", "reason": "plaintext-to-strict", "cause": "host-is-pod-ip",
        "security": "none", "basis": "observed", "candidates": [], "explanation": "e", "remedy": "r",
        "steps": [
            {"at": "source", "says": "10.244.1.70:8080 is captured", "because": "Pod shop/cart-0: its capture rules"},
            {"at": "source-proxy", "says": "no virtual host for 10.244.1.70: PassthroughCluster, on as it is", "because": "ALLOW_ANY (mesh config)"},
            {"at": "destination-proxy", "says": "shop/web-0, HTTP port 8080, STRICT: no filter chain takes it: closed unread", "because": "PeerAuthentication istio-system/default"}
        ],
        "caveats": ["no mesh configuration is among the facts: Istio's defaults are assumed"],
        "patch": "apiVersion: v1\nkind: Service\nmetadata:\n  name: web-headless\n  namespace: shop\nspec:\n  clusterIP: None\n  selector:\n    app: web\n  ports:\n  - name: port-8080\n    port: 8080\n    protocol: TCP\n",
        "patched": {"class": "headless-fallback", "reason": "any-host", "security": "mutual-tls"}
    });
    answer.to_string()
}

#[expect(clippy::disallowed_methods, reason = "a switch of this test, not of the product")]
fn keep(tab: &mut Tab, name: &str) {
    if let Some(folder) = std::env::var_os("MESH_TRACER_KEEP_PICTURES") {
        let picture = decoded(&tab.picture());
        fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), picture).unwrap();
    }
}

fn decoded(base64: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let bytes: Vec<u8> = base64.bytes().filter(|byte| *byte != b'=').map(value).collect();
    let mut out = Vec::new();
    for four in bytes.chunks(4) {
        let joined = four.iter().fold(0_u32, |joined, six| joined << 6 | u32::from(*six)) << (6 * (4 - four.len()));
        out.extend_from_slice(&joined.to_be_bytes()[1..four.len()]);
    }
    out
}

/// What takes how long is measured: no two of these tests at once.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    // One that failed has said so itself.
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn opened(page: &Page, at: &str) -> Tab {
    let mut tab = Tab::open();
    tab.go(&format!("{}{at}", page.url));
    tab
}

fn count(tab: &mut Tab) -> String {
    tab.eval("document.getElementById('count').textContent").as_str().unwrap().to_owned()
}

#[test]
#[ignore = "full: 20 s, in a real Chromium"]
fn ten_thousand_flows_are_painted_scrolled_and_searched_without_a_hitch() {
    let _alone = alone();
    let daemon = Daemon::start(lines(0, FLOWS), explained());
    let page = Page::open(&daemon);
    let mut tab = opened(&page, "");
    let more = daemon.readers.recv().unwrap();
    tab.until("document.getElementById('count').textContent.startsWith('10,000 flows')");
    let paint = tab.eval("performance.getEntriesByName('first-contentful-paint')[0].startTime").as_f64().unwrap();
    assert!(paint < 1000.0, "first paint after {paint} ms");
    let rows = tab.eval("document.querySelectorAll('.row').length").as_u64().unwrap();
    assert!(rows < 80, "{rows} rows for 10,000 flows");
    keep(&mut tab, "flows-light");
    tab.time_tasks();

    // Scrolled from end to end while more flows come in.
    let mut number = FLOWS;
    for round in 0..20 {
        more.send(lines(number, number + 100)).unwrap();
        number += 100;
        let to = if round % 2 == 0 { "list.scrollHeight" } else { "0" };
        tab.eval(&format!(
            "new Promise((done) => {{ const list = document.getElementById('list'); const [from, to] = [list.scrollTop, {to}]; \
             let step = 0; const go = () => {{ step += 1; list.scrollTop = from + (to - from) * step / 20; \
             if (step < 20) requestAnimationFrame(go); else done(); }}; go(); }})"
        ));
    }
    tab.until("document.getElementById('count').textContent.startsWith('12,000 flows')");
    // Each letter is a search of all of them.
    tab.press("/");
    for letter in "web-0 class:rejected".chars() {
        tab.type_in(&letter.to_string());
    }
    tab.until("document.getElementById('count').textContent.includes('do not pass')");
    let found = count(&mut tab);
    tab.press("Escape");
    for view in ["2", "3", "1"] {
        tab.press(view);
        tab.eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    }
    assert!(tab.eval("location.hash").as_str().unwrap().contains("class%3Arejected"), "{found}");
    let elsewhere: Vec<_> = tab.requested().into_iter().filter(|url| !url.starts_with(&page.url)).collect();
    assert_eq!(elsewhere, [""; 0], "nothing but this page is asked for anything");
    assert_eq!(tab.complaints(), [""; 0]);
    // Its own time: on the wall a task may also wait for whatever else this machine does.
    let tasks = tab.timed_tasks();
    let longest = tasks.iter().map(|(own, _)| *own).fold(0.0, f64::max);
    let late = tasks.iter().filter(|(_, wall)| *wall > TASK).count();
    println!(
        "first paint {paint:.0} ms; {} tasks, the longest {longest:.1} ms, {late} over {TASK} ms on the wall; found: {found}",
        tasks.len()
    );
    assert!(tasks.len() > 1000 && longest < TASK, "{} tasks, the longest {longest} ms", tasks.len());
}

#[test]
#[ignore = "full: 10 s, in a real Chromium"]
fn a_refused_flow_is_found_and_mended_by_keyboard_alone() {
    let _alone = alone();
    let daemon = Daemon::start(lines(0, 400), explained());
    let page = Page::open(&daemon);
    let mut tab = opened(&page, "");
    tab.until("document.getElementById('count').textContent.startsWith('400 flows')");
    tab.press("/");
    tab.type_in("shop/cart-0 class:rejected reason:plaintext-to-strict");
    tab.press("Enter");
    tab.until("document.getElementById('count').textContent.includes('do not pass')");
    tab.press("j");
    tab.press("j");
    tab.until("document.querySelector('.row[aria-selected=true]') !== null");
    assert!(tab.eval("document.getElementById('list').getAttribute('aria-activedescendant')").is_string());
    tab.press("Enter");
    tab.until("document.querySelector('#detail pre')?.textContent.includes('kind: Service')");
    let text = tab.eval("document.getElementById('detail').innerText").as_str().unwrap().to_owned();
    for words in ["plaintext-to-strict", "shop/cart-0", "headless-fallback any-host", "no filter chain takes it"] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    assert_eq!(
        tab.eval("document.querySelectorAll('svg.legs .refusing').length"),
        json!(1),
        "who refused it is marked"
    );
    keep(&mut tab, "flow-light");
    // What is seen can be sent to somebody: it is all in the address.
    let hash = tab.eval("location.hash").as_str().unwrap().to_owned();
    let mut other = opened(&page, &hash);
    other.prefer("dark");
    other.until("document.querySelector('#detail pre')?.textContent.includes('kind: Service')");
    let same = count(&mut tab);
    other.until(&format!("document.getElementById('count').textContent === '{same}'"));
    let ground = |tab: &mut Tab| tab.eval("getComputedStyle(document.body).backgroundColor");
    assert_eq!((ground(&mut tab), ground(&mut other)), (json!("rgb(255, 255, 255)"), json!("rgb(20, 23, 26)")));
    keep(&mut other, "flow-dark");

    tab.press("Escape");
    tab.until("document.getElementById('detail').hidden");
    tab.press("2");
    tab.until("document.querySelectorAll('.cause').length > 0");
    tab.eval("document.querySelector('.cause > button').click()");
    tab.until("document.querySelector('.cause pre')?.textContent.includes('kind: Service')");
    keep(&mut tab, "why-light");
    tab.press("?");
    tab.until("document.getElementById('help').open");
    keep(&mut tab, "help-light");
    tab.press("Escape");
    tab.eval("document.getElementById('help').close()");
    tab.press("Escape");
    tab.until("document.getElementById('query').value === ''");
    tab.press("3");
    tab.until("document.querySelectorAll('#view-graph .node').length > 3");
    keep(&mut tab, "graph-light");
    other.press("Escape");
    other.press("Escape");
    other.press("3");
    other.until("document.querySelectorAll('#view-graph .node').length > 3");
    keep(&mut other, "graph-dark");
    other.press("1");
    other.until("document.querySelectorAll('.row').length > 3");
    keep(&mut other, "flows-dark");
    other.resize(600, 800);
    keep(&mut other, "flows-narrow");
    assert_eq!((tab.complaints(), other.complaints()), (Vec::new(), Vec::new()));
}

#[test]
#[ignore = "full: 5 s, in a real Chromium"]
fn what_is_missing_is_said_and_a_stream_that_breaks_is_taken_up_again() {
    let _alone = alone();
    let daemon = Daemon::start(lines(0, 20), explained());
    let page = Page::open(&daemon);
    let mut tab = opened(&page, "");
    tab.until("document.getElementById('state').textContent === 'live, n1'");
    let more = daemon.readers.recv().unwrap();
    let lost =
        r#"{"version":"v1","time":"2026-11-24T05:00:00.000000000Z","node":"n1","lost":{"events":0,"records":7}}"#;
    more.send(format!("{lost}\ngarbage\n")).unwrap();
    tab.until("document.getElementById('state').textContent.startsWith('7 records were lost')");
    drop(more);
    // Again, with all that is remembered once more: nothing is there twice.
    let again = daemon.readers.recv().unwrap();
    again.send(lines(20, 25)).unwrap();
    tab.until("document.getElementById('count').textContent.startsWith('25 flows')");
}
