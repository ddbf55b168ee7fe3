//! A real browser without a window, spoken to as its own developer tools do: JSON messages, each ended by a zero, through
//! two pipes.

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = "chromium";
const FLAGS: &str = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update \
                     --disable-sync --disable-dev-shm-usage --no-first-run --no-default-browser-check --remote-debugging-pipe";

/// One tab; the browser ends with it.
pub(crate) struct Tab {
    browser: Child,
    requests: File,
    told: BufReader<File>,
    session: String,
    asked: u64,
    /// What happened while an answer was awaited.
    events: VecDeque<Value>,
    _dir: tempfile::TempDir,
}

impl Tab {
    /// An empty one of 1280 by 800.
    pub(crate) fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ask, told) = (dir.path().join("ask"), dir.path().join("told"));
        for pipe in [&ask, &told] {
            mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
        // Before whatever else the machine does: how long the page takes is measured. The shell gives the pipes the numbers that the browser expects: 3 and 4.
        let browser = Command::new("sh")
            .args([
                "-c",
                &format!(
                    "exec nice -n -10 {PROGRAM} {FLAGS} --user-data-dir=\"$0/profile\" about:blank 3<\"$0/ask\" 4>\"$0/told\""
                ),
            ])
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let requests = OpenOptions::new().write(true).open(ask).unwrap();
        let told = BufReader::new(File::open(told).unwrap());
        let session = String::new();
        let mut tab = Self { browser, requests, told, session, asked: 0, events: VecDeque::new(), _dir: dir };
        let target = tab.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = tab.call("Target.attachToTarget", &json!({"targetId": target["targetId"], "flatten": true}));
        attached["sessionId"].as_str().unwrap().clone_into(&mut tab.session);
        for domain in ["Page", "Runtime", "Network"] {
            tab.call(&format!("{domain}.enable"), &json!({}));
        }
        tab.resize(1280, 800);
        tab
    }

    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// `light` or `dark`, as the person's system prefers.
    pub(crate) fn prefer(&mut self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &features);
    }

    pub(crate) fn go(&mut self, url: &str) {
        let gone = self.call("Page.navigate", &json!({"url": url}));
        assert!(gone.get("errorText").is_none(), "{url}: {gone}");
    }

    /// What an expression comes to; a promise is waited for.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", &asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Looked at with each frame until it holds; ten seconds at most.
    pub(crate) fn until(&mut self, condition: &str) {
        let held = self.eval(&format!(
            "new Promise((done) => {{ const begun = performance.now(); const look = () => {{ \
             let held = false; try {{ held = Boolean({condition}); }} catch {{ }} \
             if (held || performance.now() - begun > 10000) done(held); else setTimeout(look, 10); }}; look(); }})"
        ));
        if held != json!(true) {
            let page = self.eval("document.body?.innerText.slice(0, 2000)");
            panic!("never: {condition}\n{page}");
        }
    }

    /// As a person presses it; `Enter`, `Escape`, or what it types.
    pub(crate) fn press(&mut self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            key if key.chars().count() == 1 => key,
            _ => "",
        };
        self.call("Input.dispatchKeyEvent", &json!({"type": "keyDown", "key": key, "text": text}));
        self.call("Input.dispatchKeyEvent", &json!({"type": "keyUp", "key": key}));
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.call("Input.insertText", &json!({"text": text}));
    }

    /// From now on every task of the page's main thread is timed.
    pub(crate) fn time_tasks(&mut self) {
        let config = json!({"traceConfig": {"includedCategories": ["toplevel", "__metadata"]}});
        self.ask_browser("Tracing.start", &config);
    }

    /// Processor time and time on the wall of each, in milliseconds.
    pub(crate) fn timed_tasks(&mut self) -> Vec<(f64, f64)> {
        self.events.clear();
        self.ask_browser("Tracing.end", &json!({}));
        while !self.events.iter().any(|event| event["method"] == "Tracing.tracingComplete") {
            let event = self.next();
            self.events.push_back(event);
        }
        let all: Vec<&Value> =
            self.events.iter().filter_map(|event| event["params"]["value"].as_array()).flatten().collect();
        let is_main = |event: &&&Value| event["name"] == "thread_name" && event["args"]["name"] == "CrRendererMain";
        let mains: Vec<_> = all.iter().filter(is_main).map(|event| (&event["pid"], &event["tid"])).collect();
        let tasks = all.iter().filter(|event| {
            event["name"].as_str().is_some_and(|name| name.ends_with("RunTask"))
                && mains.contains(&(&event["pid"], &event["tid"]))
        });
        let ms = |time: &Value| time.as_f64().map(|micros| micros / 1e3);
        tasks
            .filter_map(|task| {
                let wall = ms(&task["dur"])?;
                Some((ms(&task["tdur"]).unwrap_or(wall), wall))
            })
            .collect()
    }

    /// Addresses that the page has asked for until now.
    pub(crate) fn requested(&mut self) -> Vec<String> {
        self.eval("1");
        let requests = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        requests.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// What the page complained of.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.eval("1");
        let is = |event: &&Value| {
            event["method"] == "Runtime.exceptionThrown"
                || (event["method"] == "Runtime.consoleAPICalled" && event["params"]["type"] == "error")
        };
        self.events.iter().filter(is).map(ToString::to_string).collect()
    }

    /// A PNG in base64.
    pub(crate) fn picture(&mut self) -> String {
        self.call("Page.captureScreenshot", &json!({"format": "png"}))["data"].as_str().unwrap().to_owned()
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        let session = self.session.clone();
        self.ask(method, params, &session)
    }

    fn ask_browser(&mut self, method: &str, params: &Value) -> Value {
        self.ask(method, params, "")
    }

    fn ask(&mut self, method: &str, params: &Value, session: &str) -> Value {
        self.asked += 1;
        let mut message = json!({"id": self.asked, "method": method, "params": *params});
        if !session.is_empty() {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.requests.write_all(&bytes).unwrap();
        loop {
            let answer = self.next();
            if answer["id"] == self.asked {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push_back(answer);
        }
    }

    fn next(&mut self) -> Value {
        let mut message = Vec::new();
        self.told.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&message).unwrap()
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}
