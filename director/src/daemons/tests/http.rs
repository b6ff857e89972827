//! The HTTP API on the same port: by TLS name, both versions, no client certificate.

use common::net::pki::pem;

use super::Rig;
use crate::daemons::RemoteAddress;

pub(super) async fn hello(request: axum::extract::Request) -> String {
    let remote = request.extensions().get::<RemoteAddress>().unwrap();
    format!("{:?} {}", request.version(), remote.0.ip())
}

#[tokio::test]
async fn the_api_is_on_the_same_port_for_whoever_trusts_the_root() {
    let rig = Rig::new().await;
    let root = pem("CERTIFICATE", rig.authority.keys().root());
    let config = || {
        let root = reqwest::Certificate::from_pem(root.as_bytes()).unwrap();
        reqwest::Client::builder().tls_certs_only([root])
    };
    let port = rig.address.rsplit(':').next().unwrap().to_owned();
    for (client, version) in [
        (config().build().unwrap(), "HTTP/2.0"),
        (config().http1_only().build().unwrap(), "HTTP/1.1"),
    ] {
        for host in ["localhost", "127.0.0.1"] {
            let url = format!("https://{host}:{port}/hello");
            let text = client.get(url).send().await.unwrap().text().await.unwrap();
            assert_eq!(text, format!("{version} 127.0.0.1"));
        }
    }
    let stranger = reqwest::Client::builder().build().unwrap();
    let url = format!("https://localhost:{port}/hello");
    assert!(stranger.get(url).send().await.is_err());
    rig.end().await;
}

#[tokio::test]
async fn plain_text_and_slow_heads_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let rig = Rig::new().await;
    let url = format!("http://{}/hello", rig.address);
    assert!(reqwest::get(url).await.is_err());
    // Half a request, and then nothing.
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rig.authority.keys().root().clone()).unwrap();
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = tokio::net::TcpStream::connect(&rig.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let mut tls = connector.connect(name, tcp).await.unwrap();
    tls.write_all(b"GET /hello HTTP/1.1\r\nHost: local")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let read = tls.read_to_end(&mut rest);
    // An answer or just the end, after ten seconds.
    let _ = tokio::time::timeout(super::LIMIT, read).await.unwrap();
    rig.end().await;
}
