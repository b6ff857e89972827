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
