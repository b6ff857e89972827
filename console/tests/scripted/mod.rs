//! A Director that says what a test scripts: real TLS by a real authority, the console's real program against it.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use common::net::pki::pem;
use common::net::testing::Installation;
use common::net::tls::{ClientAuth, server_config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// One answer: `METHOD /path?query` as the console must ask, then what it gets.
pub struct Answer {
    pub request: &'static str,
    pub status: u16,
    pub kind: &'static str,
    pub body: String,
}

/// JSON with status 200.
pub fn json(request: &'static str, body: &serde_json::Value) -> Answer {
    Answer {
        request,
        status: 200,
        kind: "application/json",
        body: body.to_string(),
    }
}

/// An event stream.
pub fn events(request: &'static str, body: &str) -> Answer {
    Answer {
        request,
        status: 200,
        kind: "text/event-stream",
        body: body.to_owned(),
    }
}

/// A scripted Director and the folder of a console that knows it.
pub struct Script {
    pub folder: tempfile::TempDir,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Script {
    /// Starts it; answers are given in any order, each once, in the order of the script for equal requests.
    pub async fn start(answers: Vec<Answer>) -> Self {
        let installation = Installation::new().unwrap();
        let credentials = installation.director_store().unwrap();
        let config =
            server_config(&credentials.current(), &[b"http/1.1"], ClientAuth::None).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let name = installation.director.dns_name();
        write_access(
            folder.path(),
            &name,
            port,
            &pem("CERTIFICATE", installation.root()),
        );
        let heard = Arc::new(Mutex::new(Vec::new()));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        let log = heard.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(
                    acceptor.clone(),
                    socket,
                    answers.clone(),
                    log.clone(),
                ));
            }
        });
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

/// `console.toml` and what it names.
pub fn write_access(folder: &Path, name: &str, port: u16, root: &str) {
    let text = format!(
        "url = \"https://{name}:{port}\"\naddresses = [\"127.0.0.1:{port}\"]\ntoken_file = \"token\"\nroot = \"root.pem\"\n"
    );
    std::fs::write(folder.join("console.toml"), text).unwrap();
    std::fs::write(folder.join("token"), "the-token\n").unwrap();
    std::fs::write(folder.join("root.pem"), root).unwrap();
}

async fn serve(
    acceptor: TlsAcceptor,
    socket: TcpStream,
    answers: Arc<Mutex<VecDeque<Answer>>>,
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
            let length = head.lines().find_map(|l| {
                l.to_lowercase()
                    .strip_prefix("content-length: ")
                    .map(str::to_owned)
            });
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
    let authorized = head
        .to_lowercase()
        .contains("authorization: bearer the-token");
    let found = {
        let mut answers = answers.lock().unwrap();
        let at = answers.iter().position(|a| a.request == request);
        at.and_then(|at| answers.remove(at)).filter(|_| authorized)
    };
    let answer = found.unwrap_or_else(|| {
        problem(
            "",
            404,
            "not-found",
            &format!("the script has no {request}"),
        )
    });
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

/// A refusal.
pub fn problem(request: &'static str, status: u16, code: &str, detail: &str) -> Answer {
    let body = serde_json::json!({"title": "refused", "status": status, "code": code, "detail": detail, "remedy": "do this"});
    Answer {
        request,
        status,
        kind: "application/problem+json",
        body: body.to_string(),
    }
}
