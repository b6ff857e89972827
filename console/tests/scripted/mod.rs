//! A Director that says what a test scripts: real TLS by a real authority, the console's real program against it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use common::net::pki::pem;
use common::net::testing::Installation;
use common::net::tls::{ClientAuth, server_config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a request gets.
pub struct Answer {
    pub status: u16,
    pub kind: &'static str,
    pub body: String,
}

/// From `METHOD /path?query` to an answer.
pub type Respond = Arc<dyn Fn(&str) -> Answer + Send + Sync>;

/// JSON with status 200.
pub fn json(body: &serde_json::Value) -> Answer {
    Answer {
        status: 200,
        kind: "application/json",
        body: body.to_string(),
    }
}

/// An event stream.
pub fn events(body: &str) -> Answer {
    Answer {
        status: 200,
        kind: "text/event-stream",
        body: body.to_owned(),
    }
}

/// A refusal.
pub fn problem(status: u16, code: &str, detail: &str) -> Answer {
    let body = serde_json::json!({
        "title": "refused", "status": status, "code": code, "detail": detail, "remedy": "do this"
    });
    Answer {
        status,
        kind: "application/problem+json",
        body: body.to_string(),
    }
}

/// A scripted Director and the folder of a console that knows it.
pub struct Script {
    pub folder: tempfile::TempDir,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Script {
    /// Starts it; each answer is given once, in the order of the script for equal requests.
    pub async fn start(answers: Vec<(&'static str, Answer)>) -> Self {
        let answers = Mutex::new(VecDeque::from(answers));
        let respond = move |request: &str| {
            let mut answers = answers.lock().unwrap();
            let at = answers.iter().position(|(asked, _)| *asked == request);
            let found = at
                .and_then(|at| answers.remove(at))
                .map(|(_, answer)| answer);
            found.unwrap_or_else(|| {
                problem(404, "not-found", &format!("the script has no {request}"))
            })
        };
        let folder = tempfile::tempdir().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        direct(
            listener,
            &folder.path().join("console.toml"),
            Arc::new(respond),
            heard.clone(),
        );
        Self { folder, heard }
    }

    /// Runs the console.
    pub async fn console(&self, words: &[&str]) -> Output {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .args(words)
            .arg("--root")
            .arg(self.folder.path())
            .env("TZ", "UTC")
            .output()
            .await
            .unwrap()
    }

    /// What was asked, bodies behind a blank.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// Serves in the background and writes the access a console needs.
pub fn direct(
    listener: TcpListener,
    access: &Path,
    respond: Respond,
    heard: Arc<Mutex<Vec<String>>>,
) {
    let installation = Installation::new().unwrap();
    let credentials = installation.director_store().unwrap();
    let config = server_config(&credentials.current(), &[b"http/1.1"], ClientAuth::None).unwrap();
    let address = listener.local_addr().unwrap();
    let root = pem("CERTIFICATE", installation.root());
    write_access(access, &installation.director.dns_name(), address, &root);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(
                acceptor.clone(),
                socket,
                respond.clone(),
                heard.clone(),
            ));
        }
    });
}

/// `console.toml` (or `admin.toml`) and what it names.
pub fn write_access(path: &Path, name: &str, address: SocketAddr, root: &str) {
    let port = address.port();
    let text = format!(
        "url = \"https://{name}:{port}\"\naddresses = [\"{address}\"]\ntoken_file = \"token\"\nroot = \"root.pem\"\n"
    );
    std::fs::write(path.with_file_name("token"), "the-token\n").unwrap();
    std::fs::write(path.with_file_name("root.pem"), root).unwrap();
    std::fs::write(path, text).unwrap();
}

async fn serve(
    acceptor: TlsAcceptor,
    socket: TcpStream,
    respond: Respond,
    heard: Arc<Mutex<Vec<String>>>,
) {
    let Ok(mut stream) = acceptor.accept(socket).await else {
        return;
    };
    let mut bytes = Vec::new();
    let (head, length) = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8(bytes.clone()).unwrap();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower
                .lines()
                .find_map(|l| l.strip_prefix("content-length: "));
            break (
                head.to_owned(),
                length.map_or(0, |l| l.parse::<usize>().unwrap()),
            );
        }
    };
    while bytes.len() < head.len() + 4 + length {
        stream.read_buf(&mut bytes).await.unwrap();
    }
    let body = String::from_utf8(bytes[head.len() + 4..].to_vec()).unwrap();
    let line = head.lines().next().unwrap();
    let request = line.trim_end_matches(" HTTP/1.1").replace("/api/v1", "");
    heard
        .lock()
        .unwrap()
        .push(format!("{request} {body}").trim_end().to_owned());
    let answer = if head
        .to_lowercase()
        .contains("authorization: bearer the-token")
    {
        respond(&request)
    } else {
        problem(401, "unauthenticated", "no token")
    };
    let text = format!(
        "HTTP/1.1 {} X\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}",
        answer.status,
        answer.kind,
        answer.body.len(),
        answer.body
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}
