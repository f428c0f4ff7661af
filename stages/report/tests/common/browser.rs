//! A headless browser, driven through a pair of pipes as the DevTools protocol has it. Real clicks and keys.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Where browsers are that speak the protocol; `EMBERLINE_BROWSER` names another.
const KNOWN: &[&str] =
    &["/usr/lib/chromium/chromium", "chromium", "chromium-browser", "google-chrome", "headless_shell"];
/// A test that takes longer has met a browser that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    next: u64,
    session: Option<String>,
    /// What the page complained of: exceptions, and what its policy forbade.
    pub complaints: Vec<String>,
    /// Addresses that were asked for.
    pub requests: Vec<String>,
    _folder: TempDir,
}

/// A browser on this machine.
pub fn found() -> Option<PathBuf> {
    let asked = std::env::var_os("EMBERLINE_BROWSER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = |name: &str| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    asked.or_else(|| {
        KNOWN.iter().find_map(|name| {
            if name.starts_with('/') { Some(PathBuf::from(name)).filter(|file| file.is_file()) } else { on_path(name) }
        })
    })
}

impl Browser {
    pub fn start(program: &Path) -> Self {
        let folder = TempDir::new().expect("a folder");
        let pipe = |name: &str| {
            let path = folder.path().join(name);
            assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo starts").success());
            path
        };
        let (to, from) = (pipe("to"), pipe("from"));
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--hide-scrollbars".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--remote-debugging-pipe".into(),
            format!("--user-data-dir={}", folder.path().join("profile").display()),
            "about:blank".into(),
        ];
        let child = Command::new("sh")
            .args(["-c", "program=$1 to=$2 from=$3; shift 3; exec \"$program\" \"$@\" 3<\"$to\" 4>\"$from\"", "sh"])
            .arg(program)
            .args([&to, &from])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the shell starts");
        let to = File::options().write(true).open(to).expect("a pipe");
        let from = BufReader::new(File::open(from).expect("a pipe"));
        let mut browser = Self {
            child,
            to,
            from,
            next: 0,
            session: None,
            complaints: Vec::new(),
            requests: Vec::new(),
            _folder: folder,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Calls a method of the protocol.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("the browser listens");
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes).expect("the browser answers");
            bytes.pop();
            assert!(!bytes.is_empty(), "the browser has ended at {method}");
            let said: Value = serde_json::from_slice(&bytes).expect("JSON");
            if said["id"] == self.next {
                assert!(said["error"].is_null(), "{method}: {}", said["error"]);
                return said["result"].clone();
            }
            match said["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown" => self.complaints.push(said["params"].to_string()),
                "Log.entryAdded" if said["params"]["entry"]["level"] == "error" => {
                    self.complaints.push(said["params"].to_string());
                }
                "Network.requestWillBeSent" => {
                    self.requests.push(said["params"]["request"]["url"].as_str().unwrap_or_default().to_owned());
                }
                _ => {}
            }
        }
    }

    /// Opens a page and waits until its script is ready.
    pub fn open(&mut self, page: &Path, width: u32, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false}),
        );
        self.call(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
        self.call("Page.navigate", json!({"url": "about:blank"}));
        self.call("Page.navigate", json!({"url": format!("file://{}", page.display())}));
        self.until("document.documentElement?.classList.contains('ready')");
    }

    /// The value of an expression.
    pub fn value(&mut self, expression: &str) -> Value {
        let result = self
            .call("Runtime.evaluate", json!({"expression": expression, "returnByValue": true, "awaitPromise": true}));
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    pub fn text(&mut self, selector: &str) -> String {
        let value = self.value(&format!("document.querySelector({})?.innerText ?? ''", json!(selector)));
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.value(&format!("Boolean({expression})")) != true {
            assert!(Instant::now() < deadline, "never true: {expression}; {:?}", self.complaints);
            std::thread::sleep(Duration::from_millis(40));
        }
    }

    /// The middle of what an expression gives, an element, on the screen.
    #[track_caller]
    fn place(&mut self, element: &str) -> (f64, f64) {
        let place = self.value(&format!(
            "(() => {{ const e = {element}; if (!e) return null; e.scrollIntoView({{block: 'center', behavior: 'instant'}}); const r = \
             e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        let at = |i: usize| place[i].as_f64().unwrap_or_else(|| panic!("there is no {element}"));
        (at(0), at(1))
    }

    /// Moves the pointer onto an element.
    #[track_caller]
    pub fn point_at(&mut self, element: &str) {
        let (x, y) = self.place(element);
        self.call("Input.dispatchMouseEvent", json!({"type": "mouseMoved", "x": x, "y": y}));
    }

    /// Clicks on an element.
    #[track_caller]
    pub fn click(&mut self, element: &str) {
        let (x, y) = self.place(element);
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            self.call(
                "Input.dispatchMouseEvent",
                json!({"type": kind, "x": x, "y": y, "button": button, "clickCount": 1}),
            );
        }
    }

    /// Types a text where the cursor is.
    pub fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    pub fn escape(&mut self) {
        for kind in ["keyDown", "keyUp"] {
            let key = json!({"type": kind, "key": "Escape", "code": "Escape", "windowsVirtualKeyCode": 27});
            self.call("Input.dispatchKeyEvent", key);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
